"""The figures that are measured, a module each."""
