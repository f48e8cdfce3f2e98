"""Claims about Darkroom, each shown by a test."""
