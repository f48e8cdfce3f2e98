"""The routes of outgoing webhook deliveries: list, show, replay."""
