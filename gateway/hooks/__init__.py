"""Incoming webhooks: "when a product is created, make its picture".

A hook is a few lines in a file: how its sender signs, which deliveries matter, and how a payload
becomes a request. This package checks the file and the deliveries; the jobs themselves are taken
in as all others are.
"""

from gateway.hooks.config import Hooks, load_hooks
from gateway.hooks.errors import HookFault, HooksFileFaulty, NotGenuine, PayloadUnfit
from gateway.hooks.hook import Asked, Hook
from gateway.hooks.route import router
from gateway.hooks.signatures import Genuine

__all__ = [
    "Asked",
    "Genuine",
    "Hook",
    "HookFault",
    "Hooks",
    "HooksFileFaulty",
    "NotGenuine",
    "PayloadUnfit",
    "load_hooks",
    "router",
]
