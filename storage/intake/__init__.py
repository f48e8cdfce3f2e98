"""Insert new jobs: one, many, or the rows of a batch.

A job may also reuse the image of an identical request.
"""
