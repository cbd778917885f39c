"""Take documents and records from where they are: containers, tables, databases; and bring answers there."""
