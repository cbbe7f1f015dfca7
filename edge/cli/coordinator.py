"""``jidoka coordinator``: keeps every result, knows the fleet, and serves both over HTTP."""

from __future__ import annotations

import contextlib
import signal
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge.cli.common import note, read_password, say, say_json
from edge.domain import is_id
from edge.errors import ConfigError, Exit

if TYPE_CHECKING:
    from edge.coordinator.service import Coordinator
    from edge.shell.broker import Broker

app = typer.Typer(help="Keeps every result, knows the fleet, and serves both over HTTP.")
DEFAULT_BROKER = "mqtt://127.0.0.1:1883"
DEFAULT_DATA = Path("jidoka-data")
LEDGER_FILE = "ledger.db"


class StartBroker(StrEnum):
    """Which broker to start."""

    AUTO = "auto"
    MOSQUITTO = "mosquitto"
    IOTCORE = "iotcore"


DataDir = Annotated[Path, typer.Option("--data", help="Folder of the ledger, the keys and the broker's own data.")]
Db = Annotated[str, typer.Option("--db", help="Ledger: a file, or a URL such as postgresql://user@host/database.")]
AsJson = Annotated[bool, typer.Option("--json", help="Say it as one JSON document.")]


@app.callback(invoke_without_command=True)
def coordinator(
    context: typer.Context,
    broker: Annotated[str, typer.Option(help=f"mqtt://host:port or mqtts://… [default: {DEFAULT_BROKER}]")] = "",
    start_broker: Annotated[StartBroker | None, typer.Option(help="Start a broker of our own on loopback.")] = None,
    broker_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of our own broker; 0 takes a free one.")
    ] = 1883,
    site: Annotated[str, typer.Option(help="The site whose agents are served.")] = "site",
    db: Db = "",
    data: DataDir = DEFAULT_DATA,
    http: Annotated[str, typer.Option(help="Address of the HTTP API; port 0 takes a free one.")] = "127.0.0.1:8080",
    insecure_bind: Annotated[bool, typer.Option(help="Allow --http beyond loopback; there are no users yet.")] = False,
    tls_ca: Annotated[Path | None, typer.Option(help="CA certificate (PEM), with mqtts://.")] = None,
    tls_cert: Annotated[Path | None, typer.Option(help="Client certificate (PEM).")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Key of the client certificate (PEM).")] = None,
    username: Annotated[str, typer.Option(help="Name at the broker.")] = "",
    password_file: Annotated[Path | None, typer.Option(help="File with the password at the broker.")] = None,
    keys: Annotated[Path | None, typer.Option(help="Folder of <agent>.key files [default: <data>/keys]")] = None,
    retain_days: Annotated[float, typer.Option(min=0, help="Forget records older than this; 0 keeps them.")] = 0,
    retain_evidence_days: Annotated[float, typer.Option(min=0, help="The same for pictures alone.")] = 0,
    retain_gb: Annotated[float, typer.Option(min=0, help="Forget the oldest above this size; 0 keeps all.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Serve until Ctrl-C: take results from the broker, keep them in the ledger, acknowledge them."""
    if context.invoked_subcommand is not None:
        return
    with contextlib.ExitStack() as stack:
        stack.callback(signal.signal, signal.SIGTERM, signal.signal(signal.SIGTERM, _leave))
        if broker and start_broker:
            raise ConfigError("BROKER_TWICE", "--broker and --start-broker exclude each other", hint="give one of them")
        if not is_id(site):
            raise ConfigError("ID_WRONG", f"--site {site!r}", "an id has letters, digits, '.', '_', '-', at most 64")
        from edge.cli.watch import endpoint_of
        from edge.coordinator.retention import Limits
        from edge.coordinator.service import Options, load_keys
        from edge.shell.endpoint import Tls

        if not broker and not start_broker:
            note(f"using the broker at {DEFAULT_BROKER}; --start-broker auto starts one")
        tls = Tls(tls_ca, tls_cert, tls_key) if tls_ca else None
        _make_folder(data)
        child = _start_broker(stack, start_broker, broker_port, data) if start_broker else None
        url = f"mqtt://{child.host}:{child.port}" if child else broker or DEFAULT_BROKER
        endpoint = endpoint_of(url, tls, username or None, read_password(password_file))
        folder = keys or data / "keys"
        options = Options(
            site=site,
            ledger_url=ledger_url(db, data),
            endpoint=endpoint,
            limits=Limits(retain_days, retain_gb, retain_evidence_days),
            keys=load_keys(folder) if keys or folder.is_dir() else {},
        )
        _serve(options, http, insecure=insecure_bind, as_json=as_json)


@app.command()
def backup(
    target: Annotated[Path, typer.Argument(help="The copy to write; must not exist yet.")],
    db: Db = "",
    data: DataDir = DEFAULT_DATA,
    as_json: AsJson = False,
) -> None:
    """Copy the ledger, durably; the coordinator may go on meanwhile."""
    from edge.coordinator.backup import backup as copy

    size = copy(ledger_url(db, data), target)
    if as_json:
        say_json({"file": str(target), "bytes": size}, indent=0)
    else:
        say(f"{target}: {size} bytes")


@app.command()
def restore(
    source: Annotated[Path, typer.Argument(help="A copy made by backup.")],
    db: Db = "",
    data: DataDir = DEFAULT_DATA,
    as_json: AsJson = False,
) -> None:
    """Put a copy in the ledger's place, under a new ledger id: agents then send again what they still hold."""
    from edge.coordinator.backup import restore as put_back

    _make_folder(data)
    ledger_id, kept = put_back(ledger_url(db, data), source)
    if as_json:
        say_json({"ledger": ledger_id, "kept": None if kept is None else str(kept)}, indent=0)
    else:
        say(f"the ledger is {ledger_id} now" + (f"; the one before is {kept}" if kept else ""))


@app.command("renew-id")
def renew_id(db: Db = "", data: DataDir = DEFAULT_DATA, as_json: AsJson = False) -> None:
    """Give a ledger that was put back by other means (pg_restore) its new id, as restore does by itself."""
    from edge.coordinator.backup import renew_id as renew

    ledger_id = renew(ledger_url(db, data))
    if as_json:
        say_json({"ledger": ledger_id}, indent=0)
    else:
        say(f"the ledger is {ledger_id} now")


def ledger_url(db: str, data: Path) -> str:
    """SQLAlchemy's URL of what people write: nothing, a file, or a URL."""
    if "://" in db:
        return db
    return f"sqlite:///{Path(db).absolute() if db else (data / LEDGER_FILE).absolute()}"


def _make_folder(data: Path) -> None:
    try:
        data.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError("DATA_UNUSABLE", f"cannot use the folder {data}", error.strerror or str(error)) from error


def _start_broker(stack: contextlib.ExitStack, kind: StartBroker, port: int, data: Path) -> Broker:
    from edge.shell.broker import Broker

    child = stack.enter_context(Broker(kind.value, "127.0.0.1", port, data / "broker"))
    for line in child.notes:
        note(line)
    return child


def _serve(options: Any, http: str, *, insecure: bool, as_json: bool) -> None:
    from edge.coordinator.api import make_api
    from edge.coordinator.http import LOOPBACK_HOSTS, HttpServer, parse_bind
    from edge.coordinator.service import Coordinator
    from edge.shell.logs import make_logger

    log = make_logger()
    server = HttpServer(*parse_bind(http, insecure=insecure))
    with contextlib.ExitStack() as stack:
        stack.callback(server.stop)
        service = Coordinator(options, lambda level, code, text: log(level, code, text, {}))  # type: ignore[arg-type]
        stack.callback(service.desk.dispose)
        stack.callback(service.close)
        asked = _stop_on_signals(service, stack)
        if epoch := service.wait_for_lease():
            server.start(make_api(service, ["*"] if insecure else LOOPBACK_HOSTS))
            stack.callback(server.stop)
            ready = {"url": server.url, "broker": str(options.endpoint), "ledger": service.ledger.ledger_id}
            service.run(epoch, lambda: _tell(ready, as_json=as_json))
    if signal.SIGINT in asked:
        raise typer.Exit(Exit.INTERRUPTED)


def _tell(ready: dict[str, str], *, as_json: bool) -> None:
    if as_json:
        say_json(ready, indent=0)
    else:
        say(f"coordinator ready: {ready['url']}, broker {ready['broker']}, ledger {ready['ledger']}")


def _leave(_signal: int, _frame: object) -> None:
    """Before there is anything to end in good order, a request to end is carried out at once, and is no failure."""
    raise SystemExit(0)


def _stop_on_signals(service: Coordinator, stack: contextlib.ExitStack) -> list[int]:
    """The first signal asks for an orderly end; a second one, while that takes too long, does what it always does.

    What came is in the list.
    """
    asked: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        before = signal.getsignal(number)

        def stop(got: int, _frame: object, before: Any = before) -> None:
            signal.signal(got, before)
            asked.append(got)
            service.stop(signal.Signals(got).name)

        signal.signal(number, stop)
        stack.callback(signal.signal, number, before)
    return asked
