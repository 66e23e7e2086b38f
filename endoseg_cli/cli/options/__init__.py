"""What commands share in reading their lines: completion, and words for what is wrong.

May import errors.
"""
