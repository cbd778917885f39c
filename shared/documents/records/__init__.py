"""Files of many records: read row by row, answered row by row, and written back in their own format."""
