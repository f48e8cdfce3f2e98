"""Faults and latencies that a test asks for, and how a response is spoiled by them."""
