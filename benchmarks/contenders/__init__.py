"""The systems that are measured: Darkroom, textbook workers, the raw limit."""
