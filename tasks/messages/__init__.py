"""Task messages as they come from the broker: read whole, or rejected one by one."""

from tasks.messages.fault import MessageFault
from tasks.messages.rejected import RejectedMessages

__all__ = ["MessageFault", "RejectedMessages"]
