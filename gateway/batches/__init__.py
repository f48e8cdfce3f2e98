"""The routes of batches: upload, load, follow, results.

How lines are parsed, checked and inserted is not here; that is in `tasks/batches`.
"""
