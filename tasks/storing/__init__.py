"""Upload paid images from the spool to the bucket, look up lost images, and delete objects.

Spool space, the picture cache and the reconciliation of held rows are here too. The spool's files
are in `storage.spool`, the bucket's client in `storage.objects`.
"""
