"""The servers and processes that a run stands on."""
