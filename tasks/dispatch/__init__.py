"""Send due jobs to the workers: the leader's loop, the window, the messages.

Which are due is SQL, in `storage.dispatch`.
"""
