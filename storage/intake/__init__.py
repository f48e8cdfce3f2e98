"""Insert new jobs.

One, many, or the rows of a batch; or reuse the image of an identical request.
"""
