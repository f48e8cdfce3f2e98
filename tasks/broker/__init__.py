"""Connections to the broker and what is published there.

How messages are read is in `messages`.
"""
