"""Parse the addresses of Redis and RabbitMQ once, for every library that connects to them.

Kombu, redis-py and amqp each parse an address in their own way, above all its TLS options. So an
address is parsed here, with one meaning for each option, and each library gets the result in its
own form. An option without a single meaning is refused. No connection is opened here.
"""

from darkroom.settings.addresses.broker import BrokerAddress
from darkroom.settings.addresses.redis import RedisAddress
from darkroom.settings.addresses.tls import Tls, TlsDefaults

__all__ = ["BrokerAddress", "RedisAddress", "Tls", "TlsDefaults"]
