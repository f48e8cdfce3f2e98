"""Servers, workers and gateways as processes that a row may kill, cut off or stop."""
