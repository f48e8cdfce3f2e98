"""Pictures kept in memory between spool and bucket."""

from pathlib import Path
from uuid import uuid4

from storage import Spool, SpooledImage
from tasks.in_hand import InHand


def test_no_more_is_kept_than_the_bound_allows(tmp_path: Path) -> None:
    """The rest is read from the disk, where all of it is."""
    spool = Spool(tmp_path, max_bytes=10**6, fsync=False)
    in_hand = InHand(2_500)
    pictures = [SpooledImage(data=bytes([n]) * 1_000, width=1, height=1) for n in range(3)]
    entries = [spool.write(uuid4(), 1, [picture]) for picture in pictures]
    for entry, picture in zip(entries, pictures, strict=True):
        in_hand.keep(entry, [picture])
    assert [in_hand.take(entry) for entry in entries] == [
        [pictures[0].data],
        [pictures[1].data],
        None,
    ]
    in_hand.keep(entries[2], [pictures[2]])
    assert in_hand.take(entries[2]) == [pictures[2].data] == spool.read(entries[2])
    assert in_hand.take(entries[2]) is None
    spool.close()
