"""Incoming webhooks: "when a product is created, make its picture".

A hook is a few lines in a file: how its sender signs, which deliveries matter, and how a payload
becomes a request. This package checks the file and the deliveries; the jobs themselves are taken
in as all others are.
"""
