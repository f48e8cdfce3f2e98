"""Keep Darkroom's state: the results table, the object store and the spool."""
