"""Check the words of comments, docstrings and pages; `make check` runs it.

It finds phrases that have to be read twice, and private words where the field has a standard term.
Code, names and quoted code are not looked at. The phrases, and what to write instead, are in
`phrases.toml`.
"""
