"""Reusable HTTP parts: bodies, problem documents, paging, headers, the OpenAPI document.

Nothing here depends on a route; routes are in `jobs`, `batches`, `deliveries` and `hooks`.
"""
