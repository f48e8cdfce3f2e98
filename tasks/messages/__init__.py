"""Task messages as they come from the broker: read whole, or rejected one by one."""
