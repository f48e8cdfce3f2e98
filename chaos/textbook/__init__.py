"""The textbook Celery task, on which the first rows are played for comparison.

It is written as Celery's documentation recommends, and uses no Darkroom code.
"""
