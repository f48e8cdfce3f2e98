"""Open a SQLite file: engine and errors."""
