"""What several commands share: options, output, error messages, formats, progress.

Code that only one command uses is in that command's file.
"""
