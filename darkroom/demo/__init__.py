"""The demo: two dozen prompts become pictures in a bucket, and every result is checked.

It plans a local stack of its own, submits the prompts, shows the progress and writes a gallery.
Starting the processes is left to `darkroom/stack/`, and running jobs to a normal worker.
"""
