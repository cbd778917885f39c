"""Pure planning: data and `now` in, data out. No I/O, no clock, no randomness."""
