"""The one error of the package `darkroom`: a mistake or an obstacle that a person can act on.

UserError    one line on stderr, an exit status, no traceback
"""

__all__ = ["UserError"]


class UserError(Exception):
    """Report in one line what is wrong, where, and what to do.

    Args:
        message: the line, without a secret in it.
        exit_status: 1 if a result is not as it should be, 2 if the command line was wrong.
    """

    def __init__(self, message: str, *, exit_status: int = 1) -> None:
        super().__init__(message)
        self.exit_status = exit_status
