"""The paid API: requests and their rules, the HTTP client, and how responses are judged.

Errors and the PNG check live here too. This package imports no other package of Darkroom but
`http1`. What follows from a verdict (retry, pause, store) is decided in the packages above it.
"""
