"""Outgoing webhooks, the sending half: who may be called, how it is signed, sent and tried again.

Knows nothing of jobs, tables or threads: a message, its address and its secrets go in, and what
became of the attempt and what should follow come out.
"""
