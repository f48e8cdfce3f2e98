"""Process jobs: accept, dispatch, call the paid API, upload the images, deliver webhooks.

These packages use the API's client (`playground`) and the storage layer (`storage`). Processes and
signals are in `workers`, HTTP is in `gateway`, and the command line is in `darkroom`.
"""
