"""What the fleet shares: whether it is paused, how fast it may go, how many calls today.

Expands only: two tables beside the others, so workers of the release before go on as they were.
"""

from typing import Any

from alembic import op
from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Double,
    Integer,
    String,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import TIMESTAMP

revision = "0002"
down_revision: str | None = "0001"


def upgrade() -> None:
    """Make the two tables, and the fleet's one row: running, at full speed."""
    if op.get_bind().dialect.name == "postgresql":
        _create("darkroom", "", TIMESTAMP(timezone=True), BigInteger())
        op.execute("INSERT INTO darkroom.fleet (id) VALUES (1)")
    else:
        _create(None, "darkroom_", DateTime(), Integer())
        op.execute("INSERT INTO darkroom_fleet (id) VALUES (1)")


def _create(schema: str | None, prefix: str, moment: Any, big: Any) -> None:
    def check(name: str, rule: str) -> CheckConstraint:
        return CheckConstraint(rule, name=f"{prefix}fleet_{name}")

    op.create_table(
        f"{prefix}fleet",
        Column("id", Integer(), primary_key=True, autoincrement=False),
        Column("pause_kind", String(16)),
        Column("pause_code", Text()),
        Column("pause_message", Text()),
        Column("paused_at", moment),
        Column("pause_until", moment),
        Column("probe_at", moment),
        Column("probes", Integer(), nullable=False, server_default=text("0")),
        Column("held_until", moment),
        Column("share", Double(), nullable=False, server_default=text("1.0")),
        Column("share_changed_at", moment),
        check("one_row", "id = 1"),
        check(
            "pause_is_whole",
            "(pause_kind IS NULL) = (paused_at IS NULL)"
            " AND (pause_kind IS NULL) = (pause_code IS NULL)",
        ),
        check("share_in_bounds", "share > 0 AND share <= 1"),
        schema=schema,
    )
    op.create_table(
        f"{prefix}daily_calls",
        Column("day", String(10), primary_key=True),
        Column("calls", big, nullable=False),
        schema=schema,
    )
