"""In-memory stand-ins for the ports, with virtual time. The contract suite holds them to the real ones."""
