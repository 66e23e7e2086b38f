"""Many inputs by many processes: what each does, and how their results become those of one.

`units` shares the work out, `work` does one unit in whatever process, `gather` puts the results together in the parent.
"""
