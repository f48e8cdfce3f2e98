"""Compares what rows say is in the bucket with what is there, and repairs what differs.

Nothing here is done by workers: `darkroom verify` asks for it. The rules are here, and whoever asks
only renders.
"""

from tasks.verify.difference import Difference, DifferenceKind
from tasks.verify.orphans import FindOrphans
from tasks.verify.repair import Repair, RepairPlan
from tasks.verify.resume import ResumePoint
from tasks.verify.rows import VerifyRows
from tasks.verify.step import VerifyStep

__all__ = [
    "Difference",
    "DifferenceKind",
    "FindOrphans",
    "Repair",
    "RepairPlan",
    "ResumePoint",
    "VerifyRows",
    "VerifyStep",
]
