"""Claims about where things are kept."""
