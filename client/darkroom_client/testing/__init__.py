"""A stand-in for the gateway, for the tests of whoever uses this package.

With pytest, the fixture `darkroom` is there as soon as this package is installed; with anything
else, make a `FakeDarkroom`. It is a `Client` whose requests never leave the process: everything but
the gateway itself is the real thing. No service is needed, and pytest is not imported from here.
"""

from darkroom_client.testing.fake import FakeDarkroom
from darkroom_client.testing.signing import sign

__all__ = ["FakeDarkroom", "sign"]
