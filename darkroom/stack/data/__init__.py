"""The data folder of a stack: its lock, its facts, its permissions, and room on its disk."""
