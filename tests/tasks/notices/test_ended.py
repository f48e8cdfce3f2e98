"""What is published about ended jobs, and that publishing holds nothing up."""

from collections.abc import Callable, Iterator
from uuid import UUID, uuid4

import orjson
import pytest

from darkroom.settings.addresses import RedisAddress
from tasks.notices import ended
from tasks.notices.ended import AT_ONCE, EndedNotices, ids_of
from tests.services.redis import RedisServer
from tests.tasks.notices.heard import heard
from tests.waiting import wait_until


@pytest.fixture
def notices_in() -> Iterator[Callable[[str], EndedNotices]]:
    """Makes publishers to a Redis."""
    made: list[EndedNotices] = []

    def make(url: str) -> EndedNotices:
        made.append(EndedNotices(RedisAddress.read(url).options, namespace="fleet"))
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_all_ids_are_published_and_nothing_else(
    redis_url: str, notices_in: Callable[[str], EndedNotices]
) -> None:
    """Each once, at most a thousand in a message, in fewer messages than there were ends."""
    notices, ids = notices_in(redis_url), [uuid4() for _ in range(2500)]
    with heard(redis_url, "fleet") as messages:
        for job_id in ids:
            notices.add([job_id])
        wait_until(lambda: sum(len(orjson.loads(each)) for each in messages) == len(ids))
    assert [UUID(word) for each in messages for word in orjson.loads(each)] == ids
    assert max(len(ids_of(each)) for each in messages) <= AT_ONCE
    assert len(messages) < len(ids)


def test_ids_are_dropped_while_redis_hangs_and_published_afterwards(
    redis_server: RedisServer,
    notices_in: Callable[[str], EndedNotices],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """However many ends there are meanwhile, none waits: else this test would take an hour."""
    monkeypatch.setattr(ended, "AWAY_S", 0.1)
    notices = notices_in(redis_server.url)
    redis_server.pause()
    for _ in range(20_000):
        notices.add([uuid4()])
    wait_until(lambda: caplog.records)
    redis_server.resume()

    def is_heard() -> bool:
        notices.add([last])
        return any(last in ids_of(each) for each in messages)

    last = uuid4()
    with heard(redis_server.url, "fleet") as messages:
        wait_until(is_heard)
    assert sum(record.levelname == "WARNING" for record in caplog.records) == 1


@pytest.mark.parametrize(
    "message",
    [b"", b"null", b"5", b'{"a":1}', b'"0197a0c2"', b'["0197a0c2"]', b"[5]", b"[null]", b"\xff"],
)
def test_a_message_that_is_no_list_of_ids_says_nothing(message: bytes) -> None:
    """Anybody with the channel's right can send one."""
    assert ids_of(message) == []
