"""Authentication and authorization: API keys, scopes, rates and ownership.

How a resource is shown or changed is not decided here; that is in the route packages.
"""
