"""Read files of every format, one module a format. All but `formats` and `part` run in the reader's child."""
