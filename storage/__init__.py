"""Where things are kept: the results table, the object store and the spool; Darkroom's truth."""
