"""The settings of a fleet: addresses of its servers, and all times shortened to the scale."""

from pathlib import Path

from chaos.fleet.servers import Ground
from tests.services.s3 import S3Endpoint

__all__ = ["suggested_settings"]


def suggested_settings(
    ground: Ground, bucket: S3Endpoint, namespace: str, *, folder: Path, database_url: str
) -> dict[str, str]:
    """Return settings by field name; a row overrides what it needs otherwise."""
    scale = ground.scale
    deadline_s = scale.shortened(120)
    return {
        "namespace": namespace,
        "broker_url": ground.redis.url,
        "database_url": database_url,
        "s3_bucket": bucket.bucket,
        "s3_endpoint_url": bucket.endpoint_url,
        "s3_region": bucket.region,
        "s3_addressing": "path",
        "playground_url": ground.simulator.url,
        "playground_api_key": ground.simulator.api_key,
        "spool_dir": str(folder / "spool"),
        "concurrency": str(scale.concurrency),
        "lease_s": str(scale.calm_lease_s),
        "heartbeat_s": str(scale.shortened(5)),
        "call_deadline_s": str(deadline_s),
        "read_timeout_s": str(scale.shortened(90)),
        "drain_seconds": str(deadline_s + 10),
        "backoff_base_s": "0.2",
        "backoff_max_s": str(scale.shortened(10)),
        "hold_s": str(scale.shortened(5)),
        "breaker_window_s": str(scale.shortened(20) + scale.latency_s[1]),
        "spool_grace_s": str(scale.shortened(300)),
        "dispatch_again_s": str(scale.shortened(60)),
        "submit_again_s": str(scale.shortened(60)),
        "publish_pause_s": str(scale.shortened(5)),
        "probe_first_s": str(scale.shortened(10)),
        "probe_most_s": str(scale.shortened(60)),
    }
