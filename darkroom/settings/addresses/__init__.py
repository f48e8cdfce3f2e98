"""The addresses of Redis and RabbitMQ, read once for every library that connects to them.

Kombu, redis-py and amqp each read an address in their own way, above all its TLS options. So an
address is read here, with one meaning for each option, and each library is given the result in its
own form. What has no single meaning is refused.
"""

from darkroom.settings.addresses.broker import BrokerAddress
from darkroom.settings.addresses.redis import RedisAddress
from darkroom.settings.addresses.tls import Tls, TlsDefaults

__all__ = ["BrokerAddress", "RedisAddress", "Tls", "TlsDefaults"]
