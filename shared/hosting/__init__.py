"""The control loop: a pass over an account, its leases and its records."""
