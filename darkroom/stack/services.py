"""Decide which services are started and which are used, and derive the settings from it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from darkroom.safe_address import safe_address
from darkroom.stack.addresses import choose_ports
from darkroom.stack.data.folder import DataFolder
from darkroom.stack.plan import StackPlan
from darkroom.stack.programs.binaries import check_gateway_parts
from darkroom.stack.programs.gateway import gateway_url
from darkroom.stack.programs.s3 import BUCKET, REGION, endpoint_url, local_keys, s3
from darkroom.stack.programs.simulator import API_KEY, simulator, simulator_url
from darkroom.stack.programs.valkey import broker_url, valkey
from darkroom.stack.supervision.process import Program


@dataclass(frozen=True, slots=True)
class Service:
    """One part of the system, as shown to a person.

    Attributes:
        name: One of `broker`, `database`, `s3`, `playground`, `gateway`.
        address: Its address; never with a password.
        origin: Whether this stack started it or uses one that the settings name.
    """

    name: str
    address: str
    origin: Literal["started", "used"]


@dataclass(frozen=True, slots=True)
class Composition:
    """The result of composing a plan.

    Attributes:
        services: Every part, started or used.
        programs: What to start, in order, before workers and gateway.
        variables: Settings that differ from what children inherit.
        ports: The ports of everything that is started.
    """

    services: list[Service] = field(default_factory=list)
    programs: list[Program] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict, repr=False)
    ports: Mapping[str, int] = field(default_factory=dict)


def compose(plan: StackPlan, folder: DataFolder) -> Composition:
    """Choose ports, keys, programs and variables; start nothing.

    Raises:
        UserError: A port is taken, something is not installed, or the folder can't be written.
    """
    external = {
        "broker": plan.broker_url,
        "s3": plan.s3_bucket,
        "simulator": plan.playground_url,
    }
    started = [name for name, url in external.items() if url is None]
    ports = choose_ports(plan, folder, [*started, *(["gateway"] if plan.with_gateway else [])])
    made = Composition(ports=ports)
    _add_database(made, plan, folder)
    _add_broker(made, plan, folder, ports)
    _add_s3(made, plan, folder, ports)
    _add_playground(made, plan, folder, ports)
    if plan.with_gateway:
        check_gateway_parts()
        made.services.append(Service("gateway", gateway_url(ports["gateway"]), "started"))
    made.variables["DARKROOM_SPOOL_DIR"] = str(folder.subfolder("spool"))
    if plan.concurrency is not None:
        made.variables["DARKROOM_CONCURRENCY"] = str(plan.concurrency)
    return made


def _add_database(made: Composition, plan: StackPlan, folder: DataFolder) -> None:
    if plan.database_url is not None:
        made.services.append(Service("database", safe_address(plan.database_url), "used"))
        return
    file = folder.file("darkroom.db")  # SQLite gives its log and shared memory the same mode
    made.services.append(Service("database", str(file), "started"))
    made.variables["DARKROOM_DATABASE_URL"] = f"sqlite:///{file}"


def _add_broker(
    made: Composition, plan: StackPlan, folder: DataFolder, ports: Mapping[str, int]
) -> None:
    if plan.broker_url is not None:
        made.services.append(Service("broker", safe_address(plan.broker_url), "used"))
        return
    url = broker_url(ports["broker"])
    made.services.append(Service("broker", url, "started"))
    made.programs.append(valkey(plan, folder, ports["broker"]))
    made.variables["DARKROOM_BROKER_URL"] = url


def _add_s3(
    made: Composition, plan: StackPlan, folder: DataFolder, ports: Mapping[str, int]
) -> None:
    if plan.s3_bucket is not None:
        endpoint = plan.s3_endpoint_url
        at = "s3:/" if endpoint is None else safe_address(endpoint).rstrip("/")
        made.services.append(Service("s3", f"{at}/{plan.s3_bucket}", "used"))
        return
    keys = local_keys(folder)
    url = endpoint_url(ports["s3"])
    made.services.append(Service("s3", f"{url}/{BUCKET}", "started"))
    made.programs.append(s3(plan, folder, ports["s3"], keys))
    made.variables.update(
        DARKROOM_S3_BUCKET=BUCKET,
        DARKROOM_S3_ENDPOINT_URL=url,
        DARKROOM_S3_REGION=REGION,
        DARKROOM_S3_ADDRESSING="path",
        AWS_ACCESS_KEY_ID=keys.access_key_id,
        AWS_SECRET_ACCESS_KEY=keys.secret_access_key,
    )


def _add_playground(
    made: Composition, plan: StackPlan, folder: DataFolder, ports: Mapping[str, int]
) -> None:
    if plan.playground_url is not None:
        made.services.append(Service("playground", safe_address(plan.playground_url), "used"))
        return
    url = simulator_url(ports["simulator"])
    made.services.append(Service("playground", f"{url} (simulated)", "started"))
    made.programs.append(simulator(plan, folder, ports["simulator"]))
    made.variables.update(
        DARKROOM_PLAYGROUND_URL=url,
        DARKROOM_PLAYGROUND_API_KEY=API_KEY,
        DARKROOM_SIMULATED="1",
    )


def child_environment(plan: StackPlan, variables: Mapping[str, str]) -> dict[str, str]:
    """Return the workers' environment: the inherited one, overridden by the stack's variables.

    With a local S3, no other source of the AWS chain may apply. A profile or a session token of the
    user would be sent along with the local keys.
    """
    inherited = dict(plan.environment)
    if "AWS_ACCESS_KEY_ID" in variables:
        inherited = {n: v for n, v in inherited.items() if not n.startswith("AWS_")}
    return inherited | dict(variables)
