"""Create, load, open and count batches.

`intake` inserts the jobs of a batch. `tasks/batches` reads and checks what was submitted.
"""
