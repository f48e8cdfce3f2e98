"""Darkroom: prompts in, stored images out, through a paid API and a fleet of Celery workers."""

__version__ = "0.1.0"
