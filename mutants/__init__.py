"""Mutation testing: plant one small bug at a time in the core, for the nearest tests to find.

A covered line may still be untested. `make mutants` draws bugs with a seed and runs for each only
the tests nearest to the file (`nearest.toml`). It lists every bug that no test noticed. It is not
part of `make test`, because it runs tests for every bug.

Mutations of single tokens are those of the library cosmic-ray, which has its own environment
(`requirements/mutants.lock`). Deleted calls and dropped conditions are in `operators.py`, because
coverage says least about whether a call is needed.
"""
