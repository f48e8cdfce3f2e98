"""A request: its parameters, the API's rules, its JSON Schema and its wire form.

Sending it is not here; that is in `client`.
"""
