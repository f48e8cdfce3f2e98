"""The rows of the fault matrix, a file per kind of fault and a function per row."""
