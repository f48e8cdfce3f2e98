"""Tables, plots and the page in docs/.

The package formats what `benchmarks/figures/` has measured; it measures nothing itself.
"""
