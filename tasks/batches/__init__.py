"""Batch files: read, check every line, stage, load.

The rows themselves are written by `storage.intake`.
"""
