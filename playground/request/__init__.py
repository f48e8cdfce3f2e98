"""A request: its parameters, the API's rules, its JSON Schema and its form on the wire."""
