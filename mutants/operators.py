"""Mutations of whole statements and conditions, in the form of cosmic-ray's operators.

An operator lists the positions of a syntax tree's node at which it can change something, and makes
the change. Nodes are those of the library parso.
"""

from collections.abc import Iterator
from typing import Any, Protocol

import parso

__all__ = ["LOGGER", "DeleteCall", "DeleteRaise", "DropCondition", "Operator"]

Position = tuple[tuple[int, int], tuple[int, int]]

#: Calls whose arguments are conditions that all hold: to leave one out weakens a guard.
CONDITIONS = {"where", "and_"}

#: Log lines are left out: their text is for people, and no test asserts it.
LOGGER = "log"


class Operator(Protocol):
    """The interface of a mutation: where it can be made, and the changed node."""

    def mutation_positions(self, node: Any) -> Iterator[Position]:
        """List the places of a node at which it can be made."""

    def mutate(self, node: Any, index: int) -> Any:
        """Return the node with the change at the place of this index."""


class DeleteCall:
    """Replaces a statement that only calls something by `pass`."""

    def mutation_positions(self, node: Any) -> Iterator[Position]:
        """Yield the statement, if it is a call."""
        if _is_statement(node) and _is_call(node):
            yield node.start_pos, node.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        """Return `pass` in its place."""
        del index
        return _pass_instead_of(node)


class DeleteRaise:
    """Replaces a `raise` by `pass`."""

    def mutation_positions(self, node: Any) -> Iterator[Position]:
        """Yield the statement, if it raises."""
        if node.type == "raise_stmt":
            yield node.start_pos, node.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        """Return `pass` in its place."""
        del index
        return _pass_instead_of(node)


class DropCondition:
    """Leaves out one of the conditions of a WHERE."""

    def mutation_positions(self, node: Any) -> Iterator[Position]:
        """Yield each argument, if the node is the parentheses of `.where(...)` or `and_(...)`."""
        if _is_parentheses(node) and _last_name(node.get_previous_sibling()) in CONDITIONS:
            for argument in _arguments(node):
                yield argument.start_pos, argument.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        """Return the parentheses without the argument of this index."""
        kept = [one.get_code() for place, one in enumerate(_arguments(node)) if place != index]
        return parso.parse(f"f({','.join(kept)})").children[0].children[1]


def _arguments(parentheses: Any) -> list[Any]:
    inside = parentheses.children[1:-1]
    if len(inside) == 1 and inside[0].type == "arglist":
        inside = inside[0].children
    return [one for one in inside if one.type != "operator"]


def _is_parentheses(node: Any) -> bool:
    return bool(node.type == "trailer" and node.children[0].get_code().strip() == "(")


def _last_name(node: Any) -> str | None:
    """Return the name that is called: of `select(x).where` it is `where`."""
    if node is None:
        return None
    word = node.children[-1] if node.type == "trailer" else node
    return str(word.value) if word.type == "name" else None


def _is_statement(node: Any) -> bool:
    return node.parent is not None and node.parent.type == "simple_stmt"


def _is_call(node: Any) -> bool:
    if node.type not in {"atom_expr", "power"}:
        return False
    return _is_parentheses(node.children[-1])


def _pass_instead_of(node: Any) -> Any:
    """Return the statement `pass`, indented as the one that it replaces."""
    made = parso.parse("pass").children[0]
    made.prefix = node.get_first_leaf().prefix
    return made
