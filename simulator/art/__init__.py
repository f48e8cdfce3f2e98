"""The pictures: procedural art that depends on the request alone."""

from simulator.art.canned import canned_pixels
from simulator.art.paint import paint

__all__ = ["canned_pixels", "paint"]
