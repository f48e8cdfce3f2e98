"""Owners: their limits, their API keys and their calls of the day."""
