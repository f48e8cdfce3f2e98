"""Compare rows with the objects in the bucket, and repair differences.

Only `darkroom verify` uses this package; workers do not. The rules are here, and the command line
only renders the results.
"""
