"""The command line: parsing only; each command calls one library function."""
