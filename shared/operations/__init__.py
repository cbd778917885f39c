"""What every door calls to change something: the same for HTTP and the command line."""
