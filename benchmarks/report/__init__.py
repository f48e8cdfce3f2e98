"""Readings, tables, plots and the page in docs/."""
