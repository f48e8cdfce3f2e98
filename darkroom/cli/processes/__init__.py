"""Commands that run until they are stopped: worker, gateway, simulator, up, demo."""
