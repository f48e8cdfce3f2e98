"""The front door's one error: a mistake or an obstacle that a person can do something about.

UserError    one line on stderr, an exit status, no traceback
"""

__all__ = ["UserError"]


class UserError(Exception):
    """Says in one line what is wrong, where, and what to do.

    Args:
        message: the line, without a secret in it.
        exit_status: 1 where something is not as it should be, 2 where the call itself was wrong.
    """

    def __init__(self, message: str, *, exit_status: int = 1) -> None:
        super().__init__(message)
        self.exit_status = exit_status
