"""Settings become objects: what a worker, a gateway and a command are made of."""
