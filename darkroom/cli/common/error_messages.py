"""The lines and the exit status of every foreseen error; a bug is not one."""

from darkroom.errors import UserError

__all__ = ["lines_of"]


def lines_of(error: Exception) -> tuple[list[str], int]:  # noqa: PLR0911 - one row a kind
    """Return the lines to print for an error, and the exit status.

    Raises:
        Exception: the error itself, if it is not foreseen.
    """
    from playground.errors import PlaygroundError, RequestInvalid
    from storage.errors import DatabaseError, ObjectStoreError, RowLocked, StorageError
    from tasks.errors import BatchLoading, PaymentUnconfirmed

    match error:
        case UserError():
            return [str(error)], error.exit_status
        case RequestInvalid():
            return [str(fault) for fault in error.faults], 2
        case PaymentUnconfirmed():
            return ["nothing was retried: add --yes to pay for them again"], 2
        case RowLocked():
            return [f"another transaction holds a row; try again: {error}"], 1
        case DatabaseError():
            return [f"DARKROOM_DATABASE_URL: {_with_address(error)}"], 1
        case ObjectStoreError():
            return [f"DARKROOM_S3_BUCKET: {error}"], 1
        case StorageError() | PlaygroundError() | BatchLoading():
            return [str(error)], 1
        case _:
            raise error


def _with_address(error: Exception) -> str:
    """Return the line of a database error, with the database's address."""
    from darkroom.settings import load_settings
    from darkroom.wiring.factory import Wiring
    from storage.errors import SchemaOutOfDate

    if not isinstance(error, SchemaOutOfDate):
        return str(error)  # all others contain the address already
    return f"{Wiring(load_settings()).database.safe_url}: {error}"
