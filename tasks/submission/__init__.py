"""Accept single jobs: check the request, insert the row, dispatch it.

Files of many lines are in `batches`.
"""
