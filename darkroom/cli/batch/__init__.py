"""The command `darkroom batch`."""
