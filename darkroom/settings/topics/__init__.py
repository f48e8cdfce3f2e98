"""The fields of the settings, one file for each topic; `model.py` combines them.

Each field describes its meaning and its special values: `docs/settings.md` is generated from these
sentences. Rules between fields are in `model.py`.
"""
