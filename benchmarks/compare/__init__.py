"""Two checkouts measured in turns, and the gate on their ratio."""
