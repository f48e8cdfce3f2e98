"""Commands about jobs: submit, show, list, watch, cancel, retry, forget.

Each command reads its options, asks for confirmation and renders the result. The changes themselves
are in `tasks/` and `storage/`.
"""
