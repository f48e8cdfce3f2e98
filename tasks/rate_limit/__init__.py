"""Limit calls per second and calls in flight over the whole fleet (the call budget).

The limiter in Redis, its Lua script and the local share used without Redis are here. The package
uses Redis and the number of live workers, and nothing of jobs, claims or the API. Pauses are in
`throttling`.
"""
