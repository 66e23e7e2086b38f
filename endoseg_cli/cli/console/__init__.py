"""What people see while a command runs: bars, plain lines, tables; all of it but results on stderr.

May import everything below cli.
"""
