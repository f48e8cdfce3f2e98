"""Private attributes of libraries are listed, are as listed, and are used nowhere else."""

from collections.abc import Mapping

import pytest

from http1 import private_attributes as http1_list
from storage import private_attributes as storage_list
from tasks import private_attributes as tasks_list
from tests.libraries.changes import changes, release_of
from tests.libraries.private_uses import PACKAGES, ROOT, uses_in, uses_in_source

LISTS: Mapping[str, Mapping[str, str | None]] = {
    "http1/private_attributes.py": http1_list.PRIVATE_ATTRIBUTES,
    "storage/private_attributes.py": storage_list.PRIVATE_ATTRIBUTES,
    "tasks/private_attributes.py": tasks_list.PRIVATE_ATTRIBUTES,
}
LISTED = {path.rpartition(".")[2]: path for listed in LISTS.values() for path in listed}


@pytest.mark.parametrize("file", LISTS)
def test_the_installed_release_has_every_attribute_as_listed(file: str) -> None:
    """A release that drops or changes one fails here, by the attribute's name and its version."""
    changed = changes(LISTS[file])
    users = [
        str(use)
        for package in PACKAGES
        for use in uses_in(package)
        if any(f".{use.name} " in change for change in changed)
    ]
    assert not changed, "\n".join(
        [*changed, *users, f"Adapt the code, then {file} and the bounds in pyproject.toml."]
    )


@pytest.mark.parametrize("package", PACKAGES)
def test_no_private_attribute_is_used_that_is_not_listed(package: str) -> None:
    """Code that uses another one has to list it, so that the next release is compared with it."""
    missing = [str(use) for use in uses_in(package) if use.name not in LISTED]
    assert not missing, f"not in {', '.join(LISTS)}: " + "; ".join(missing)


def test_the_client_uses_no_private_attribute_beyond_the_listed_ones() -> None:
    """The client reads responses as `http1` does, with the same two methods of `http.client`."""
    names = {use.name for use in uses_in("darkroom_client", ROOT / "client")}
    listed = {path.rpartition(".")[2] for path in LISTED.values() if path.startswith("http.")}
    assert names <= listed


def test_every_listed_attribute_is_used() -> None:
    """A list holds nothing that the code no longer needs."""
    used = {use.name for package in PACKAGES for use in uses_in(package)}
    assert set(LISTED) <= used, set(LISTED) - used


@pytest.mark.parametrize(
    ("path", "parameters", "change"),
    [
        ("urllib3.connectionpool:HTTPConnectionPool._no_such", "self", "does not exist"),
        ("urllib3.connectionpool:HTTPConnectionPool._put_conn", "self", "has parameters (self, "),
        ("urllib3.connectionpool:HTTPConnectionPool._put_conn", None, "is a method now"),
        ("botocore.httpsession:URLLib3Session._verify", "self", "is not a method"),
        ("botocore.httpsession:NoSuchSession._verify", None, "there is no botocore.httpsession."),
        ("http.client:HTTPResponse._no_such", None, "does not exist"),
    ],
)
def test_a_changed_attribute_is_named_with_its_release(
    path: str, parameters: str | None, change: str
) -> None:
    """The sentence has the library, its version, the attribute, and what became of it."""
    (sentence,) = changes({path: parameters})
    assert sentence.startswith(f"{release_of(path)}: {path} ")
    assert change in sentence
    assert any(digit.isdigit() for digit in release_of(path))


@pytest.mark.parametrize(
    "line",
    [
        "pool._get_conn()",
        "a.b._secret = 1",
        "super()._close()",
        "getattr(client, '_endpoint', None)",
        "from urllib3.util import _private",
    ],
)
def test_a_private_use_is_found_however_it_is_written(line: str) -> None:
    """As an attribute, through `super`, as a string, or imported by name."""
    assert len(uses_in_source(line, "a.py", "http1")) == 1


@pytest.mark.parametrize("line", ["self._own", "x.__dict__", "parts._replace(a=1)", "os._exit(0)"])
def test_what_is_own_or_documented_is_no_private_use(line: str) -> None:
    """An object's own attributes, Python's double underscores, and what Python documents."""
    assert not uses_in_source(line, "a.py", "http1")


def test_what_a_class_takes_from_a_base_class_of_a_library_is_found() -> None:
    """A method that is extended counts as well as an attribute that is only read."""
    names = {use.name for use in uses_in("tasks") if use.file.endswith("redis_transport.py")}
    assert {"_brpop_read", "_queue_cycle", "_deliver", "_callbacks"} <= names
    assert {"_guard", "_not_noted", "_take"}.isdisjoint(names)
