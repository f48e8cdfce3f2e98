"""The HTTP client of the paid API: connections, deadlines, errors.

What an answer means is in `answers`.
"""
