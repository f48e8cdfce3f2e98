"""Change many jobs at once: cancel, retry, replay and delete, with the same rules everywhere.

The command line and the gateway parse what to select and render the result. What is selected, what
it costs and how it is done is decided here.
"""
