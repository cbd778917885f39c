"""In-memory fakes of the ports, with virtual time. The contract suite compares them with the real ones."""
