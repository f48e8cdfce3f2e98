"""HTTP itself: bodies, problem documents, pages, headers, the OpenAPI document.

Nothing here knows a route.
"""
