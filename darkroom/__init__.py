"""Entry points of Darkroom: settings, wiring, checks, commands, the local stack and the demo.

These packages read the environment, build the objects of the other packages and run them as
processes. What a job does lives elsewhere: `tasks/` runs it, `storage/` keeps it, `playground/`
calls the API and `gateway/` serves HTTP.
"""

__version__ = "0.1.0"
