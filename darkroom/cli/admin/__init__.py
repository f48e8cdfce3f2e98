"""An operator's commands: doctor, keys, owners, pause, webhooks, hooks, migrate, verify."""
