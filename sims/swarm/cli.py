"""``jidoka sim swarm``: options, progress, and the table at the end."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge.cli.common import note, read_password, say, say_json, say_table
from edge.domain import is_id
from edge.errors import ConfigError, Exit, InputError

if TYPE_CHECKING:
    from edge.shell.endpoint import Endpoint
    from sims.swarm.boss import Orders, Show
    from sims.swarm.figures import SwarmReport
    from sims.swarm.installation import Installation
    from sims.swarm.plan import Plan

OWN_BROKERS = {"auto", "mosquitto", "iotcore"}


class Whose(StrEnum):
    """Whose coordinator it is."""

    OWN = "own"
    NONE = "none"


class Ramp(StrEnum):
    """What rises."""

    RATE = "rate"
    AGENTS = "agents"


Agents = Annotated[int, typer.Option(min=1, max=5000, help="How many agents.")]
Rate = Annotated[float, typer.Option(min=0.01, max=100, help="Results a second of each.")]
Seconds = Annotated[float, typer.Option(min=1, help="So long (with --ramp: each step).")]
BROKER_HELP = "auto, mosquitto or iotcore start one; HOST:PORT or mqtts://HOST is one that is there."
BrokerAt = Annotated[str, typer.Option(help=BROKER_HELP)]
CoordinatorOf = Annotated[Whose, typer.Option(help="Start one, or take the one that is there (see --api).")]
Api = Annotated[str, typer.Option(help="HTTP address of the coordinator that is there, to compare its ledger.")]
Site = Annotated[str, typer.Option(help="The agents' site; the coordinator's, where one is there.")]
RampOf = Annotated[Ramp | None, typer.Option(help="Raise it until the lag's p95 is over the limit.")]
Limit = Annotated[float, typer.Option(min=0.01, help="Longest ledger lag at p95, in seconds.")]
Processes = Annotated[int, typer.Option(min=1, max=64, help="Worker processes the agents are spread over.")]
Herd = Annotated[bool, typer.Option(help="All connect at once, instead of 250 a second.")]
Disk = Annotated[bool, typer.Option(help="Real journals with fsync, instead of ones in memory.")]
Fails = Annotated[float, typer.Option(min=0, max=1, help="Share of parts that fail.")]
Pictures = Annotated[int, typer.Option(min=0, max=900, help="Each failed part gives a picture of so many KB.")]
Asks = Annotated[float, typer.Option(min=0, max=50, help="Asks and settings a second, through the coordinator.")]
Seed = Annotated[int, typer.Option(min=0, help="Other parts at other times.")]
Prefix = Annotated[str, typer.Option(help="How the agents' ids begin.")]
TlsCa = Annotated[Path | None, typer.Option(help="CA certificate (PEM), with mqtts://.")]
TlsCert = Annotated[Path | None, typer.Option(help="Client certificate (PEM), the same for all agents.")]
TlsKey = Annotated[Path | None, typer.Option(help="Key of the client certificate (PEM).")]
Username = Annotated[str, typer.Option(help="Name at the broker.")]
Password = Annotated[Path | None, typer.Option(help="File with the password at the broker.")]
Out = Annotated[Path | None, typer.Option(help="Keep ledger, logs and journals here (default: forgotten).")]
Json = Annotated[bool, typer.Option("--json", help="Only the document, on stdout, also when the limit is missed.")]


def swarm(
    agents: Agents = 100,
    rate: Rate = 1.0,
    seconds: Seconds = 20.0,
    broker: BrokerAt = "auto",
    coordinator: CoordinatorOf = Whose.OWN,
    api: Api = "",
    site: Site = "swarm",
    ramp: RampOf = None,
    limit: Limit = 2.0,
    processes: Processes = 1,
    herd: Herd = False,
    disk: Disk = False,
    fails: Fails = 0.05,
    evidence: Pictures = 0,
    asks: Asks = 2.0,
    seed: Seed = 1,
    prefix: Prefix = "swarm",
    tls_ca: TlsCa = None,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    username: Username = "",
    password_file: Password = None,
    out: Out = None,
    json: Json = False,
) -> None:
    """Load a real installation with many real agents: nothing lost, nothing doubled, and how long the ledger takes.

    Each is a whole agent but for camera and model: its core, outbox, journal and MQTT connection. By default a broker and a
    coordinator are started beside it; `--broker HOST:PORT --coordinator none --api URL` loads one that is there. Every record
    journalled is compared with the ledger, through the coordinator. Status 1 when something is lost or doubled, not
    acknowledged, or slower than --limit. Ctrl-C ends the load; everybody then leaves in good order.
    """
    _check_ids(site, prefix)
    from sims.swarm.boss import Orders
    from sims.swarm.plan import Plan

    endpoint = _endpoint(broker, tls_ca, tls_cert, tls_key, username, password_file)
    with _folder(out) as folder:
        size, journals = evidence * 1024, folder / "journals" if disk else None
        plan = Plan(agents, site, endpoint, prefix, seed, fails, size, 0.0 if herd else 250.0, journals)
        orders = Orders(processes, rate, seconds, str(ramp or ""), limit * 1000, asks)
        secret = password_file.absolute() if password_file else None
        there = _installation(folder, plan, broker, api, secret, own_coordinator=coordinator is Whose.OWN)
        _run(plan, orders, there, json=json)


def _run(plan: Plan, orders: Orders, there: Installation, *, json: bool) -> None:
    from sims.swarm.boss import run
    from sims.swarm.limits import enough_files

    enough_files(-(-plan.agents // orders.processes), disk=plan.disk is not None)
    with _shown(quiet=json) as show:
        report = run(plan, orders, there, show)
    if json:
        say_json(report)
    else:
        _tell(report)
    if report.interrupted:
        raise typer.Exit(int(Exit.INTERRUPTED))
    raise typer.Exit(int(Exit.OK if report.ok else Exit.MISSED))


def _check_ids(site: str, prefix: str) -> None:
    for option, value in (("--site", site), ("--prefix", f"{prefix}-00001")):
        if not is_id(value):
            raise ConfigError("ID_WRONG", f"{option} {value!r}", "an id has letters, digits, '.', '_', '-', at most 64")


def _endpoint(
    broker: str, ca: Path | None, cert: Path | None, key: Path | None, username: str, password_file: Path | None
) -> Endpoint:
    from edge.cli.watch import endpoint_of
    from edge.shell.endpoint import Tls

    files = [one.absolute() if one else None for one in (ca, cert, key)]
    tls = Tls(files[0], files[1], files[2]) if files[0] else None
    address = "127.0.0.1" if broker in OWN_BROKERS else broker
    return endpoint_of(address, tls, username or None, read_password(password_file))


def _installation(
    folder: Path, plan: Plan, broker: str, api: str, password_file: Path | None, *, own_coordinator: bool
) -> Installation:
    from sims.swarm.installation import Installation

    own = broker if broker in OWN_BROKERS else ""
    endpoint = None if own else plan.endpoint
    return Installation(folder, plan.site, own, endpoint, password_file, own_coordinator=own_coordinator, api=api)


@contextlib.contextmanager
def _folder(out: Path | None) -> Iterator[Path]:
    """A folder of the run's own, absolute; forgotten afterwards unless one was named."""
    if out is None:
        with tempfile.TemporaryDirectory(prefix="jidoka-swarm-") as name:
            yield Path(name)
        return
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            "OUT_UNWRITABLE", f"cannot make {out}", error.strerror or str(error), "name another --out"
        ) from error
    yield out.absolute()


@contextlib.contextmanager
def _shown(*, quiet: bool) -> Iterator[Show]:
    """A live line on stderr; without a terminal, a line a stage."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    said = ""
    columns = (BarColumn(32), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, disable=quiet or not console.is_terminal, transient=True) as bar:
        task = bar.add_task("starting", total=1.0)

        def show(text: str, done: float, total: float) -> None:
            nonlocal said
            bar.update(task, description=text, completed=done, total=total)
            stage = text.partition(":")[0]
            if not quiet and bar.disable and stage != said:
                said = stage
                note(text)

        yield show


def _tell(report: SwarmReport) -> None:
    say_table(("agents", "results/s", "lag p50", "p95", "max", "swarm late p95", *_cores(report), ""), _rows(report))
    lost = "unknown" if report.lost is None else f"{report.lost}"
    doubled = "unknown" if report.doubled is None else f"{report.doubled}"
    say(
        f"{report.online} of {report.agents} agents online after {report.connect_s:g} s; {sum(report.records.values())} "
        f"records: {lost} lost, {doubled} doubled, {report.unacknowledged} not acknowledged; {report.stopped} said goodbye"
    )
    asked = report.asked
    if asked.asks or asked.settings:
        say(
            f"{asked.answered} of {asked.asks} asks answered (p95 {asked.ask_ms.p95 or 0:g} ms), "
            f"{asked.applied} of {asked.settings} settings applied"
        )
    say(
        f"memory: {', '.join(f'{name} {size:.0f} MB' for name, size in report.memory_mb.items())}; load {report.load[1]:g}"
    )
    if report.broke is not None:
        say(f"{report.broke.agents} agents at {report.broke.rate:g}/s were too many: {report.broke.why}")
    for line in (*report.missed, *report.errors):
        note(line)


def _cores(report: SwarmReport) -> tuple[str, ...]:
    return tuple(f"{name} CPU" for name in report.steps[0].cores) if report.steps else ()


def _rows(report: SwarmReport) -> list[tuple[object, ...]]:
    return [
        (
            f"{step.agents} × {step.rate:g}/s",
            f"{step.per_s:g}",
            *(f"{value or 0:.0f} ms" for value in (step.lag_ms.p50, step.lag_ms.p95, step.lag_ms.max)),
            f"{step.behind_ms.p95 or 0:.0f} ms",
            *(f"{share:.2f}" for share in step.cores.values()),
            "ok" if step.ok else "MISSED",
        )
        for step in report.steps
    ]
