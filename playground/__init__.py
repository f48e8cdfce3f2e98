"""The paid API: the request and its rules, the HTTP client, answers and errors, PNG checking.

This room knows nobody else of ours. What is done with a verdict (retry, pause, store) is decided
in the rooms above it.
"""
