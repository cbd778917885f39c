"""The ways in: HTTP, the blob trigger and the command line."""
