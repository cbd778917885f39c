"""The records of files: formats, the staged form, what became of each, and the results."""
