"""Delete jobs.

Tombstones, references to shared images, and the objects that wait to be deleted..
"""
