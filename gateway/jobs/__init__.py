"""The routes of single jobs: submit, get, list, wait, cancel, retry, delete."""
