"""The spool: paid images on this machine's disk until the bucket has them."""
