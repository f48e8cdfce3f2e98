"""What several commands share: options, output, error messages, formats, progress."""
