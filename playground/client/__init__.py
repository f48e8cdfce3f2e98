"""The HTTP client of the paid API: connections, deadlines, errors.

It never retries. What a response means is decided in `answers`.
"""
