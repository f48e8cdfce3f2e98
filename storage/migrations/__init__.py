"""The history of the tables, one numbered file a step; `storage/migrations/migrate.py` runs it."""
