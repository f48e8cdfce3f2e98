"""Jobs over HTTP, for backends in other languages: this room speaks HTTP, and decides nothing.

What a job is, when it is valid and what becomes of it is in `tasks` and `storage`; here requests
are read with bounds, callers are told apart, and answers and faults get their HTTP form.
"""
