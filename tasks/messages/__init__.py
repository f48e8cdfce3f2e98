"""Task messages as they come from the broker: read whole, or rejected one by one."""

from tasks.messages.fault import MessageFault
from tasks.messages.gate import MessageGate, is_fault_of_message
from tasks.messages.postpone import Postpone
from tasks.messages.rejected import RejectedMessages

__all__ = ["MessageFault", "MessageGate", "Postpone", "RejectedMessages", "is_fault_of_message"]
