"""From settings to a system on one machine.

What is named is used; `stack` starts the rest.
"""
