"""Bring paid images from the spool to the bucket, find lost ones, and delete objects."""
