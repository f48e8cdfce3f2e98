"""Store outgoing webhooks: deliveries, their log, and the secrets that sign them.

`outbox.py` writes a delivery in the transaction of the end that it reports. When an attempt is
made, and what its response means, is decided in `tasks/webhooks`.
"""
