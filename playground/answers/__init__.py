"""Interpret the API's responses: judge them, find and check their images, read their messages.

Sending requests and reading bodies is not here; that is in `client`.
"""
