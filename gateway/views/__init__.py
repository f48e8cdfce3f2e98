"""The JSON forms of jobs, batches, deliveries and tombstones in responses."""
