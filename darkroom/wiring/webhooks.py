"""Build the threads that deliver webhooks, and the check of receivers, from settings."""

from ipaddress import IPv4Network, IPv6Network, ip_network

from darkroom.errors import UserError
from darkroom.settings import Settings, variable
from darkroom.wiring.factory import Wiring
from tasks.errors import SecretUnusable
from tasks.webhooks.addresses.address_guard import AddressGuard, AllowList
from tasks.webhooks.attempt import DeliveryAttempt
from tasks.webhooks.loop.delivery_loop import DeliveryLoop
from tasks.webhooks.on_end.task_callback import TaskCallback
from tasks.webhooks.sending.sender import Sender
from tasks.webhooks.sending.signature import signed_headers

__all__ = ["make_deliverer"]

DAY_S = 86_400


def make_deliverer(wiring: Wiring) -> DeliveryLoop:
    """Create a worker's delivery loop; nothing is connected yet.

    Raises:
        UserError: a setting cannot work; the line names it.
    """
    settings = wiring.settings
    sender = _sender(settings)
    attempt = DeliveryAttempt(
        sender,
        TaskCallback(wiring.app, queues=wiring.on_end_queues, timeout_s=settings.publish_timeout_s),
        default_secret=_default_secret(settings),
    )
    return DeliveryLoop(
        wiring.database,
        attempt.send,
        threads=settings.webhook_threads,
        # Longer than an attempt, by as long as a worker may be silent without being dead.
        lease_s=settings.webhook_timeout_s + settings.lease_s,
        keep_s=settings.webhook_log_days * DAY_S,
        tidy=sender.close_old_connections,
    )


def allowed_receivers(names: tuple[str, ...]) -> AllowList:
    """Return the internal receivers that the setting allows: networks, addresses and host names."""
    networks: list[IPv4Network | IPv6Network] = []
    hosts = set()
    for name in names:
        try:
            networks.append(ip_network(name))
        except ValueError:
            hosts.add(name.lower().removesuffix("."))
    return AllowList(tuple(networks), frozenset(hosts))


def _sender(settings: Settings) -> Sender:
    bundle = settings.webhook_ca_bundle
    try:
        return Sender(
            AddressGuard(allowed=allowed_receivers(settings.webhook_allow)),
            total_timeout_s=settings.webhook_timeout_s,
            ca_bundle=None if bundle is None else str(bundle),
        )
    except OSError as error:  # includes ssl.SSLError
        why = f"{variable('webhook_ca_bundle')}={bundle}: no file of certificates ({error})"
        raise UserError(why) from error


def _default_secret(settings: Settings) -> str | None:
    if settings.webhook_secret is None:
        return None
    secret = settings.webhook_secret.get_secret_value()
    try:
        signed_headers([secret], message_id="try", timestamp_s=0, body=b"")
    except SecretUnusable as error:
        raise UserError(f"{variable('webhook_secret')}: {error}") from error
    return secret
