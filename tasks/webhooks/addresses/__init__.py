"""Check a webhook's address: its form, and the IP addresses that its host leads to."""
