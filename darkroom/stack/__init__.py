"""The whole system on one machine, from nothing but what the installation brought."""
