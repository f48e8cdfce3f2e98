"""Mutation testing: one small bug at a time is planted in the core, for the nearest tests to find.

A line that is covered may still be untested. `make mutants` draws bugs with a seed, runs for each
only the tests that stand nearest to the file (`nearest.toml`), and lists every bug that none of
them noticed. It runs outside `make test`, since it runs tests for every bug.

The mutations of single tokens are those of the library cosmic-ray, which has an environment of its
own (`requirements/mutants.lock`); deleted calls and dropped conditions are in `operators.py`, as
"is it called at all" is what coverage says least about.
"""
