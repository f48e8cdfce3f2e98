"""A stand-in for the paid API."""
