"""Batches: created, loaded, opened, counted.

Their rows are inserted by `intake`.
"""
