"""The textbook Celery task, on which the first rows are played for comparison.

`tasks.py` and `job.py` are written as Celery's documentation recommends and use no Darkroom code.
`beside.py` plays the faults on them.
"""
