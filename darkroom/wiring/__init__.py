"""Build objects from settings: everything that a worker, a gateway or a command consists of.

All constructor calls with values from the settings are here. The behaviour of these objects is not:
it is in `tasks/`, `storage/`, `playground/`, `gateway/` and `workers/`.
"""
