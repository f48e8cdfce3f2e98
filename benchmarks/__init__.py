"""What an image costs and how many calls a process holds, measured beside others: `make bench`.

A room of its own above all others, as `chaos` is: it starts real workers over real servers and
reads what the operating system charged them. Nothing imports it, and it is not shipped.
"""
