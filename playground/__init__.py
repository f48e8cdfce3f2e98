"""The paid API."""
