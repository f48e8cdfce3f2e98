"""Keep paid images on this machine's disk until the bucket has them.

Uploading is not done here: the uploader and the memory cache are in `tasks/storing`.
"""
