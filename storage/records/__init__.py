"""Define what a row is in Python: plain values without SQL.

The other packages read and write them.
"""
