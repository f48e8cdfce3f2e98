"""Claim due deliveries, divide threads among receivers, and record the attempts' results."""
