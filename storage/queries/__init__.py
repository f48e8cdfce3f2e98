"""Read jobs: one, a page, a snapshot, those that a filter selects.

Nothing here changes a row.
"""
