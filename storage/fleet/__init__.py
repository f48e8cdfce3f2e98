"""What the processes of a fleet share: leases, leadership, pause, throttle, calls of the day."""
