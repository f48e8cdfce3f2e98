"""Colours that go together, by name: six stops from dark to light and one accent."""

from dataclasses import dataclass

import numpy as np

from simulator.art.noise import Field, Picture

__all__ = ["PALETTES", "Palette"]

LEVELS = 512


@dataclass(frozen=True, slots=True)
class Palette:
    """A ramp of colours with an accent.

    Attributes:
        stops: Colours from dark to light, n x 3, 0 to 1.
        accent: The one colour that stands out.
        table: The ramp in fine steps, for looking up.
        night: Whether its skies are dark.
    """

    stops: Field
    accent: Field
    table: Field
    night: bool

    def at(self, t: float) -> Field:
        """Return the colour at 0 (dark) to 1 (light)."""
        colour: Field = self.table[int(np.clip(t, 0, 1) * (LEVELS - 1))]
        return colour

    def ramp(self, t: Field) -> Picture:
        """Return the colour of every pixel of a field, 0 (dark) to 1 (light)."""
        index = np.clip(t * np.float32(LEVELS - 1), 0, LEVELS - 1).astype(np.intp)
        picture: Picture = self.table[index]
        return picture


def _colour(code: str) -> list[float]:
    return [int(code[at : at + 2], 16) / 255 for at in (0, 2, 4)]


def _palette(codes: str, accent: str, *, night: bool = False) -> Palette:
    stops = np.array([_colour(code) for code in codes.split()], np.float32)
    places = np.linspace(0, 1, len(stops))
    fine = np.linspace(0, 1, LEVELS)
    table = np.stack([np.interp(fine, places, stops[:, k]) for k in range(3)], axis=1)
    return Palette(stops, np.array(_colour(accent), np.float32), table.astype(np.float32), night)


PALETTES: dict[str, Palette] = {
    "dawn": _palette("1b1b3a 4a2c5e 8f3b76 d9637a f6a66b fde2a8", "fff3cf"),
    "sea": _palette("04202c 0b4f6c 13809c 46b5b8 a3dcc7 f4f1de", "f25f4c"),
    "forest": _palette("0b1f17 17402b 2f6b3f 6c9a4b b7c66b f2efc4", "f2b134"),
    "night": _palette("05060f 0c1230 1b2559 37418c 7377bd d5d3f0", "fff2c9", night=True),
    "aurora": _palette("030a1c 07243b 0b5a5e 19a37a 7be3a0 e6fbd0", "c56cf0", night=True),
    "ember": _palette("14060a 3f0d12 7d1a1d c63f1b f28f3b ffe0a3", "2ec4b6"),
    "desert": _palette("3b1c32 6e2f4a b0524a dc8a4d f2c078 fbeed2", "2a9d8f"),
    "blossom": _palette("2d1e2f 6b3654 b25b84 e48aa8 f7c1cd fff1ee", "7fb069"),
    "ice": _palette("0b1d33 1d3f66 3f74a3 7fb2d1 bfe0ec f7fdff", "ff7f6b"),
    "gold": _palette("120d08 3a2612 7a4e18 bd8625 e7be5b fff3c8", "1f6f8b"),
    "neon": _palette("07020f 1a0938 4a0d67 b5179e f72585 ffd6f5", "2de2e6", night=True),
    "candy": _palette("2b1a4b 6a3bc0 f0509c ff8e5b ffd25f fff6dc", "23c9b8"),
    "moss": _palette("16200f 35451f 66702f 9b9a4e cdbf83 f3ead0", "b5482e"),
    "plum": _palette("170d24 3a1a4d 6a2c70 b83b5e f08a5d f9ed69", "5be7c4"),
    "fog": _palette("252b30 4a545c 77848c a4afb3 ccd3d2 eef0ec", "c7543a"),
    "mono": _palette("050505 262626 575757 8c8c8c c4c4c4 fafafa", "e4e4e4"),
    "sepia": _palette("1f140b 46301b 7a5a37 ab8a5c d6bd8d f6ead0", "fff6e0"),
    "ink": _palette("10141c 2a3242 5a6474 98a0a6 d8d4c6 f5efdf", "c8321f"),
    "tropic": _palette("06283d 0f6b6f 1fa97c 8bd450 f9e25b fffbe0", "ff4d6d"),
    "royal": _palette("0d0b26 221a5c 4b2e9e 8a55d7 d7a3f2 fbeaff", "ffcf4a"),
    "steel": _palette("0a1118 17303e 2b5d6e 5b96a0 a8cdc9 eef6ee", "ff9f45"),
    "teal_orange": _palette("06141b 0b3a45 1d6f74 c77b43 f0b26b ffe9c9", "ff7a2f"),
    "print": _palette("17213b 23486b 3f84a4 e8c07d e2634a f7ecd3", "d7263d"),
}
