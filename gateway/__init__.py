"""Serve Darkroom's jobs, batches, deliveries and webhooks over HTTP.

This package reads requests within limits, authenticates callers, and renders responses and errors
as HTTP. It makes no decisions about jobs: validation, state changes and storage live in `tasks` and
`storage`.
"""
