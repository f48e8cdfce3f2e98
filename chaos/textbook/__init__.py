"""The textbook task, on which the first rows are played for comparison."""
