"""The JSON forms of jobs, batches, deliveries and tombstones in responses.

Reading and changing them is not here; each view is made from a record of `storage`.
"""
