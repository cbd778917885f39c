"""Pure: convert windows on local days and times into half-open UTC intervals."""
