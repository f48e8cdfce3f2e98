"""Read jobs: one, a page, a snapshot, those that a filter selects.

What rows say about the bucket is read here too. Nothing here changes a row.
"""
