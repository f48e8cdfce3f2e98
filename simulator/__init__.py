"""A stand-in for the paid API, written from the API's page alone.

It shares no code with Darkroom, so that a misreading of the page cannot be in both.
"""
