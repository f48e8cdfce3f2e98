"""Send due jobs to the workers: the leader's loop, the dispatch window and the dispatches.

The SQL that selects due jobs is in `storage.dispatch`. Publishing a message is in `broker`.
"""
