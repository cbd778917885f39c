"""Pure: windows on local days and times → half-open UTC intervals."""
