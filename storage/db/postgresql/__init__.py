"""Connect to PostgreSQL through psycopg: engine, bounded waits, errors, checks of the server.

Only `Database` and code that runs on PostgreSQL alone import it, so a process with SQLite never
loads the driver.
"""
