"""Draw mutants: list every place where a bug can be planted, and select some with a seed."""

import ast
import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names

from mutants.operators import LOGGER, DeleteCall, DeleteRaise, DropCondition, Operator

__all__ = ["Mutant", "draw", "mutate"]

#: Useful operator families of cosmic-ray. Left out are those that need arguments, and decorators,
#: whose loss fails at import.
FAMILIES = (
    "core/ReplaceBinaryOperator_",
    "core/ReplaceComparisonOperator_",
    "core/ReplaceUnaryOperator_Delete_",
    "core/AddNot",
    "core/ReplaceTrueWithFalse",
    "core/ReplaceFalseWithTrue",
    "core/ReplaceAndWithOr",
    "core/ReplaceOrWithAnd",
    "core/ReplaceBreakWithContinue",
    "core/ReplaceContinueWithBreak",
    "core/NumberReplacer",
    "core/ZeroIterationForLoop",
)

OURS: dict[str, type[Operator]] = {
    "DeleteCall": DeleteCall,
    "DeleteRaise": DeleteRaise,
    "DropCondition": DropCondition,
}

Line = int
Column = int
Place = tuple[Line, Column]


@dataclass(frozen=True, slots=True)
class Mutant:
    """One small bug: one place of an operator in a file.

    Attributes:
        file: path of the file, from the root of the project.
        operator: the operator's name.
        occurrence: which of the operator's places in the file, from 0.
        line: the line of the change, from 1.
    """

    file: str
    operator: str
    occurrence: int
    line: Line


def draw(root: Path, files: Sequence[str], count: int, seed: int) -> list[Mutant]:
    """Draw mutants, each place of the code with the same probability.

    A comparison can be replaced in seven ways and a call deleted in one. So a place is drawn first,
    and one of its ways after that.

    Args:
        root: the root of the project.
        files: the files to draw from, relative to it.
        count: how many; fewer if the files offer fewer places.
        seed: the same seed and the same code give the same mutants.
    """
    dice = random.Random(seed)  # noqa: S311 - a draw that can be repeated, no secret
    sources = {file: (root / file).read_text(encoding="utf-8") for file in sorted(files)}
    ways: dict[tuple[str, Place], list[Mutant]] = defaultdict(list)
    for file, source in sources.items():
        for place, mutant in _mutants_of(file, source):
            ways[file, place].append(mutant)
    places = sorted(ways)
    dice.shuffle(places)
    drawn = (dice.choice(ways[place]) for place in places)
    return list(islice((one for one in drawn if _is_code(sources[one.file], one)), count))


def mutate(source: str, mutant: Mutant) -> str:
    """Return the source with the bug planted.

    Raises:
        ValueError: the source has no such place.
    """
    mutated = mutate_code(source, _operator(mutant.operator), mutant.occurrence)
    if mutated is None:
        raise ValueError(f"{mutant.file} has no place {mutant.occurrence} for {mutant.operator}")
    return str(mutated)


def _is_code(source: str, mutant: Mutant) -> bool:
    """Return whether it compiles: the star of `*names` is not a multiplication."""
    try:
        compile(mutate(source, mutant), mutant.file, "exec")
    except SyntaxError:
        return False
    return True


def _mutants_of(file: str, source: str) -> Iterator[tuple[Place, Mutant]]:
    nodes = list(ast_nodes(get_ast(source)))
    skipped = list(_left_out(source))
    for name in _operators():
        operator = _operator(name)
        occurrences = (place for node in nodes for place, _ in operator.mutation_positions(node))
        for occurrence, place in enumerate(occurrences):
            if not any(start <= place < end for start, end in skipped):
                yield place, Mutant(file, name, occurrence, place[0])


def _operators() -> list[str]:
    theirs = [name for name in operator_names() if name.startswith(FAMILIES)]
    return sorted(theirs) + sorted(OURS)


def _operator(name: str) -> Operator:
    made: Operator = OURS[name]() if name in OURS else get_operator(name)()
    return made


def _left_out(source: str) -> Iterator[tuple[Place, Place]]:
    """Yield places where a change says nothing about the tests.

    These are types, decorators, log lines, and the numbers of named constants. A chunk of 1,001
    rows instead of 1,000, or a pause of 3 s instead of 2 s, is another choice and not a bug.
    """
    for node in ast.walk(ast.parse(source)):
        types = (getattr(node, field, None) for field in ("annotation", "returns"))
        yield from (_span(type_) for type_ in types if isinstance(type_, ast.expr))
        yield from map(_span, getattr(node, "decorator_list", ()))
        if isinstance(node, ast.Call) and _is_log(node.func):
            yield _span(node)
        if isinstance(node, ast.Assign) and _is_union(node.value):
            yield _span(node.value)
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value and _is_tuning(node):
            yield _span(node.value)


def _is_log(called: ast.expr) -> bool:
    return isinstance(called, ast.Attribute) and ast.unparse(called.value) == LOGGER


def _is_union(value: ast.expr) -> bool:
    """Return whether it is a type alias such as `str | int | None`."""
    return isinstance(value, ast.BinOp) and isinstance(value.op, ast.BitOr)


def _is_tuning(node: ast.Assign | ast.AnnAssign) -> bool:
    """Return whether it is a named constant: `LOOK_EVERY_S = 0.5`, `COPY = Limits(lock_s=2)`."""
    target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
    name = target.id if isinstance(target, ast.Name) else ""
    value = node.value
    parts = [value]
    if isinstance(value, ast.Call):
        parts = [*value.args, *(keyword.value for keyword in value.keywords)]
    return name.isupper() and bool(parts) and all(map(_is_number, parts))


def _is_number(value: ast.expr | None) -> bool:
    return isinstance(value, ast.Constant) and isinstance(value.value, int | float)


def _span(node: ast.expr) -> tuple[Place, Place]:
    end_line, end_column = node.end_lineno or node.lineno, node.end_col_offset or node.col_offset
    return (node.lineno, node.col_offset), (end_line, end_column)
