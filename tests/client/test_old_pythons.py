"""The client runs on Pythons that are not installed here: what they lack is not used."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "client" / "darkroom_client"
FILES = sorted(PACKAGE.rglob("*.py"))
OLDEST = (3, 9)

#: What later Pythons brought, by the module it is imported from.
LATER = {
    "typing": {"Self", "Never", "TypeAlias", "ParamSpec", "Concatenate", "TypeGuard", "Required"}
    | {"NotRequired", "Unpack", "LiteralString", "assert_never", "override", "TypeIs", "ReadOnly"},
    "datetime": {"UTC"},
    "enum": {"StrEnum"},
    "itertools": {"pairwise", "batched"},
    "contextlib": {"aclosing", "chdir"},
    "types": {"NoneType", "UnionType", "EllipsisType"},
    "inspect": {"get_annotations"},
}
LATER_MODULES = {"tomllib", "compression", "annotationlib"}
LATER_NAMES = {"ExceptionGroup", "BaseExceptionGroup", "aiter", "anext", "EncodingWarning"}
LATER_ARGUMENTS = {"slots", "kw_only", "strict"}

ALLOWED = {"requests", "urllib3", "darkroom_client"}


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_a_file_reads_as_the_oldest_python_that_is_promised(file: Path) -> None:
    """Its grammar, and annotations that are never evaluated."""
    text = file.read_text(encoding="utf-8")
    tree = ast.parse(text, feature_version=OLDEST)
    future = [node for node in tree.body if isinstance(node, ast.ImportFrom) and _is_future(node)]
    annotated = any(isinstance(node, (ast.FunctionDef, ast.AnnAssign)) for node in ast.walk(tree))
    assert future or not annotated


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_a_file_uses_nothing_that_came_later(file: Path) -> None:
    """Names, arguments, and unions of types outside annotations."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    assert list(_later(tree)) == []


def test_nothing_is_imported_but_requests_and_the_standard_library() -> None:
    """`urllib3` comes with `requests`; pytest is for the plugin alone."""
    found = {
        (file.name, name.partition(".")[0])
        for file in FILES
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        for name in _imported(node)
    }
    foreign = {(file, name) for file, name in found if name not in sys.stdlib_module_names}
    assert {entry for entry in foreign if entry[1] not in ALLOWED} == {("plugin.py", "pytest")}


def _later(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(_without_annotations(tree)):
        match node:
            case ast.ImportFrom(module=str(module), names=names):
                yield from (each.name for each in names if each.name in LATER.get(module, ()))
                yield from {module} & LATER_MODULES
            case ast.Import(names=names):
                yield from {each.name for each in names} & LATER_MODULES
            case ast.Name(id=name) if name in LATER_NAMES:
                yield name
            case ast.keyword(arg=str(name)) if name in LATER_ARGUMENTS:
                yield f"{name}="
            case ast.BinOp(op=ast.BitOr(), left=left, right=right):
                yield from (f"{ast.unparse(node)}" for side in (left, right) if _is_type(side))


class _Stripped(ast.NodeTransformer):
    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AnnAssign:
        node.annotation = ast.Constant("")
        self.generic_visit(node)
        return node

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        node.returns = None
        self.generic_visit(node)
        return node


def _without_annotations(tree: ast.Module) -> ast.AST:
    stripped: ast.AST = _Stripped().visit(tree)
    return stripped


def _is_type(node: ast.expr) -> bool:
    """Whether one side of `|` looks like a class: `None`, or a name that begins like one."""
    match node:
        case ast.Constant(value=None):
            return True
        case ast.Name(id=name):
            return name in {"str", "bytes", "int", "float", "bool", "dict", "list"} or (
                name[0].isupper() and not name.isupper()
            )
        case _:
            return False


def _is_future(node: ast.ImportFrom) -> bool:
    return node.module == "__future__" and any(each.name == "annotations" for each in node.names)


def _imported(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Import(names=names):
            yield from (each.name for each in names)
        case ast.ImportFrom(module=str(module)):
            yield module
