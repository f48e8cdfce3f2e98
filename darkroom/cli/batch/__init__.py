"""The command `darkroom batch`: its options, input file and summary.

The progress bar is in `cli/common/`, because `darkroom watch` shows it, too. Parsing and checking
lines is in `tasks/batches/`.
"""
