"""What a row is in Python: plain values without SQL.

How they are read and written is in the other packages.
"""
