"""The settings themselves, one file for each topic; `model.py` puts them together.

Each field says what it means and what its special values are: `docs/settings.md` is made from these
sentences.
"""
