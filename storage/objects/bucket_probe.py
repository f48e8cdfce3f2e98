"""Put small objects to find out what a bucket allows, and whether it checks what it receives."""

from __future__ import annotations

from contextlib import suppress
from hashlib import sha256
from uuid import uuid4

from storage.errors import ObjectStoreError, ObjectStoreRefused
from storage.objects.store import ObjectStore

__all__ = ["check_rights", "verifies_payload"]

_STORED = 200
#: AWS answers 400 `XAmzContentSHA256Mismatch`; a store that hashes the body for its own signature
#: finds another one, and answers 403 `SignatureDoesNotMatch`.
_REFUSED = {400, 403}


def check_rights(objects: ObjectStore, prefix: str = "") -> None:
    """Put, get and delete a small object, as the workers will.

    Args:
        objects: The bucket.
        prefix: The folder the workers write to.

    Raises:
        ObjectStoreError: One of the three failed.
    """
    key, data = _probe_key(prefix), b"darkroom was here"
    objects.put(key, data, "text/plain")
    try:
        is_same = sha256(objects.get(key)).digest() == sha256(data).digest()
    finally:
        objects.delete(key)
    if not is_same:
        raise ObjectStoreRefused("Altered", f"{objects.address} gave back other bytes than it got")


def verifies_payload(objects: ObjectStore, prefix: str = "") -> bool | None:
    """Put a small object signed with a wrong SHA-256, which a store that verifies refuses.

    Call it after `check_rights`: a store that refuses every put refuses this one too.

    Args:
        objects: The bucket.
        prefix: The folder the workers write to.

    Returns:
        Whether it was refused; None if the store gave no clear answer.

    Raises:
        ObjectStoreError: The object that was stored all the same could not be deleted.
    """
    key = _probe_key(prefix)
    status = objects.put_signed_as(key, b"darkroom was here", sha256(b"other bytes").hexdigest())
    if status in _REFUSED:
        with suppress(ObjectStoreError):  # refused, so there should be nothing
            objects.delete(key)
        return True
    objects.delete(key)
    return False if status == _STORED else None


def _probe_key(prefix: str) -> str:
    folder = prefix.strip("/")
    return f"{folder}/probe-{uuid4()}" if folder else f"probe-{uuid4()}"
