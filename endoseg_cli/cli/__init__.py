"""The command line: `app` lists the commands and is the one place where errors become words and an exit code.

Commands, their options and what people see while they run have rooms of their own.
"""
