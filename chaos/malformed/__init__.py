"""Malformed messages: their shapes, and how they get onto a queue of Redis or RabbitMQ."""
