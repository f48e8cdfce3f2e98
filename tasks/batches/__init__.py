"""Submit batch files: read the file, check every line, stage the valid lines, load them.

The SQL that inserts the rows is in `storage.intake`. The rules for a single request and its options
are in `tasks.submission`.
"""
