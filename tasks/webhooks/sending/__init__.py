"""Post a signed webhook, read the answer, and keep the connection for the next one."""
