"""Start processes, watch them, restart them and stop them, whatever program they run."""
