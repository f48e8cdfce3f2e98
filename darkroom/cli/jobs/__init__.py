"""Commands about jobs: submit, show, list, watch, cancel, retry, forget."""
