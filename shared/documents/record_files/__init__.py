"""Work on files of records: take them in, ask about each record, and finish them."""
