"""The demo: two dozen prompts become pictures in a bucket, before your eyes and then proven."""
