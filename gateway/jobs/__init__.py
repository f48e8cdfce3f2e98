"""The routes of single jobs and of bulk changes: submit, get, list, wait, cancel, retry, delete.

The rules of a request, and what a change does to a row, are in `playground`, `tasks` and `storage`.
"""
