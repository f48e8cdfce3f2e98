"""Replace the gateway in the tests of code that uses this package.

With pytest, the fixture `darkroom` is available as soon as this package is installed. With another
test framework, make a `FakeDarkroom`. It is a `Client` whose requests never leave the process:
everything but the gateway itself is the real code. No service is needed, and pytest is not imported
from here.
"""

from darkroom_client.testing.fake import FakeDarkroom
from darkroom_client.testing.signing import sign

__all__ = ["FakeDarkroom", "sign"]
