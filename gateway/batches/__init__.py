"""The routes of batches: upload, load, follow, results."""
