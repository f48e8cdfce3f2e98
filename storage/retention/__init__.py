"""Delete jobs: tombstones, references to shared images, and the queue of objects to delete.

The rows change here. `tasks/storing` deletes the objects from the bucket.
"""
