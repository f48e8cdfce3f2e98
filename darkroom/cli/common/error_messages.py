"""The lines and the exit status of every error that somebody foresaw; a bug is none of them."""

from darkroom.errors import UserError

__all__ = ["lines_of"]


def lines_of(error: Exception) -> tuple[list[str], int]:
    """What to say about an error, and the exit status.

    Raises:
        Exception: the error itself, where nobody foresaw it.
    """
    from playground.errors import PlaygroundError, RequestInvalid
    from storage.errors import DatabaseError, ObjectStoreError, RowLocked, StorageError

    match error:
        case UserError():
            return [str(error)], error.exit_status
        case RequestInvalid():
            return [str(fault) for fault in error.faults], 2
        case RowLocked():
            return [f"another transaction holds a row; try again: {error}"], 1
        case DatabaseError():
            return [f"DARKROOM_DATABASE_URL: {_with_address(error)}"], 1
        case ObjectStoreError():
            return [f"DARKROOM_S3_BUCKET: {error}"], 1
        case StorageError() | PlaygroundError():
            return [str(error)], 1
        case _:
            raise error


def _with_address(error: Exception) -> str:
    """A database error whose line says where the database is."""
    from darkroom.settings import load_settings
    from darkroom.wiring.factory import Wiring
    from storage.errors import SchemaOutOfDate

    if not isinstance(error, SchemaOutOfDate):
        return str(error)  # the others name the address themselves
    return f"{Wiring(load_settings()).database.safe_url}: {error}"
