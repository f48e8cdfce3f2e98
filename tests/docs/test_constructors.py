"""No class of the product takes more collaborators than a reader can hold in mind."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = (
    "client/darkroom_client",
    "darkroom",
    "gateway",
    "http1",
    "playground",
    "storage",
    "tasks",
    "workers",
)
MOST = 7

ROW = "a row of the table, or what a caller sees of one"
PLAIN = "settings: plain values that one object is made from"
REPORT = "figures that are counted and shown together"

#: Dataclasses with more fields, by module and name, and why. No other class may have more.
LARGER = {
    "batch.BatchState": ROW,
    "batch.Result": ROW,
    "connection.Ask": "one request: plain values",
    "state.JobState": ROW,
    "verify_report.Report": REPORT,
    "retry_many.RetryResult": REPORT,
    "made.Made": "a picture of the demo, as its page shows it",
    "plan.StackPlan": PLAIN,
    "process.Program": "a program to start: plain values",
    "hook.Hook": "a hook as its file describes it",
    "services.GatewayLimits": PLAIN,
    "client.ClientSettings": PLAIN,
    "batches.Batch": ROW,
    "leases.Worker": ROW,
    "s3_config.StoreSettings": PLAIN,
    "api_keys.ApiKey": ROW,
    "delivery.Delivery": ROW,
    "job.Job": ROW,
    "job.NewJob": ROW,
    "tombstone.Tombstone": ROW,
    "shown_job.ShownJob": ROW,
    "tables.Tables": "the tables of one dialect, by name",
    "record_attempts.Verdict": ROW,
    "checked_batch.BatchOptions": "the options of a batch: plain values",
}

#: Classes that are called like a function, and the protocol that requires it.
CALLED = {
    "connection._Bearer": "requests' authentication",
    "secret_files.SecretFiles": "pydantic-settings' sources",
    "app.RequestLogMiddleware": "ASGI",
    "request_headers.CheckHeaders": "ASGI",
}


@dataclass(frozen=True)
class Found:
    """A class of the product, and how many arguments make one."""

    name: str
    is_dataclass: bool
    is_called: bool
    arguments: int


def classes() -> Iterator[Found]:
    """Every class of the product."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.ClassDef):
                    yield found(path.stem, node)


def found(module: str, node: ast.ClassDef) -> Found:
    """Count a class's arguments: those of its `__init__`, or a dataclass's fields."""
    methods = {
        each.name: each
        for each in node.body
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    is_dataclass = any("dataclass" in ast.unparse(each) for each in node.decorator_list)
    arguments = 0
    if "__init__" in methods:
        taken = methods["__init__"].args
        arguments = len(taken.posonlyargs) + len(taken.args) + len(taken.kwonlyargs) - 1
    elif is_dataclass:
        arguments = sum(map(is_argument, node.body))
    return Found(f"{module}.{node.name}", is_dataclass, "__call__" in methods, arguments)


def is_argument(statement: ast.stmt) -> bool:
    """Whether a statement in a dataclass's body is a field that its constructor takes."""
    if not isinstance(statement, ast.AnnAssign) or "ClassVar" in ast.unparse(statement.annotation):
        return False
    return statement.value is None or "init=False" not in ast.unparse(statement.value)


def test_no_constructor_takes_more_than_seven_collaborators() -> None:
    """What belongs together is one object with a name; only records and settings are larger."""
    larger = {each.name: each for each in classes() if each.arguments > MOST}
    assert larger.keys() - LARGER.keys() == set(), "group what belongs together"
    assert LARGER.keys() - larger.keys() == set(), "no exception is needed any more"
    assert [name for name, each in larger.items() if not each.is_dataclass] == []


def test_a_class_is_called_like_a_function_only_where_a_framework_requires_it() -> None:
    """A verb says what happens, and can be searched for."""
    assert {each.name for each in classes() if each.is_called} == CALLED.keys()
