"""Run one job on a worker thread: wait for a call slot, claim the job, send the call, record it.

The inbox, the executor's threads, the retry policy and the recovery of stored images are here too.
Pauses and byte limits are in `throttling`, the fleet's call limits in `rate_limit`, uploads in
`storing`.
"""
