"""Migrate the tables, with one numbered file per step; `migrations/migrate.py` runs them."""
