"""Whatever a worker logs, at whatever level, it quotes nothing of what producers wrote."""

import base64
import io
from pathlib import Path
from typing import Any
from uuid import uuid4

import redis
from PIL import Image

from chaos.malformed.shapes import MARK, SHAPES
from chaos.malformed.wire import put_on_redis, raw_elements
from tests.acceptance.conftest import Fleet

SMALL: dict[str, Any] = {"width": 64, "height": 64, "num_inference_steps": 5}


def picture() -> str:
    """An initial image in base64."""
    made = io.BytesIO()
    Image.new("RGB", (64, 64), (200, 30, 30)).save(made, "PNG")
    return base64.b64encode(made.getvalue()).decode()


def test_no_logger_at_debug_quotes_a_message_a_key_or_a_signature(
    lite_fleet: Fleet, redis_url: str
) -> None:
    """Every malformed shape, valid jobs, and one that the table refuses, with all loggers on."""
    fleet = lite_fleet
    fleet.environment |= {
        "DARKROOM_LOG_LEVEL": "DEBUG",
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "DARKROOM_CELERY_REMOTE_CONTROL": "true",
    }
    fleet.start_from_nothing("tests.acceptance.loud", "worker")
    image = picture()
    with redis.Redis.from_url(redis_url) as client:
        for element in raw_elements():
            client.lpush("darkroom.submit", element)
        for shape in SHAPES:
            put_on_redis(client, "darkroom.submit", shape, uuid4())
        for shape in SHAPES[::5]:
            put_on_redis(client, "darkroom.generate", shape, uuid4())
        known = fleet.send({"prompt": f"{MARK} one", "init_image": image, "strength": 0, **SMALL})
        fleet.send({"prompt": f"{MARK} other"}, task_id=str(known))
        fleet.send({"prompt": f"{MARK} faulty", "width": 33})
        fleet.wait_for(known, "succeeded")
        last = fleet.send({"prompt": f"{MARK} last", **SMALL}, metadata={"note": MARK})
        fleet.wait_for(last, "succeeded")
        fleet.wait_until(lambda: not client.llen("darkroom.submit"), "messages were left")
    [log] = fleet.folder.glob("worker-*.log")
    said = log.read_text(errors="replace")
    assert "a message was rejected" in said
    for words in ("TaskPool: Apply", "INSERT INTO", "Starting new HTTP"):
        assert words in said, f"{words!r} was to be heard at DEBUG"
    secrets = {
        "a prompt": MARK,
        "the bucket's key": fleet.environment["AWS_SECRET_ACCESS_KEY"],
        "the API's key": fleet.environment["DARKROOM_PLAYGROUND_API_KEY"],
        "an initial image": image[:40],
        "a signature": "Signature=",
        "a picture": "\\x89PNG",
    }
    found = [what for what, text in secrets.items() if text in said]
    assert found == []
