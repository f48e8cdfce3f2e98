"""The call budget: calls per second and calls in flight, over the whole fleet.

Knows Redis and the count of living workers; knows nothing of jobs, claims or the API.
"""

from tasks.budget.admission import Admission
from tasks.budget.call_budget import CallBudget
from tasks.budget.grant import Ask, BudgetLimits, Grant
from tasks.budget.ledger import Ledger
from tasks.budget.place import Place, PlaceWatch, place_of

__all__ = [
    "Admission",
    "Ask",
    "BudgetLimits",
    "CallBudget",
    "Grant",
    "Ledger",
    "Place",
    "PlaceWatch",
    "place_of",
]
