"""One file a command: parsing, then one call of the library.

Heavy imports stand inside the functions. May import cli.console, cli.options and everything below cli.
"""
