"""``jidoka init``: a commented starter project that runs as it is."""

from __future__ import annotations

import json
import shutil
from enum import StrEnum
from importlib.resources import as_file, files
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from edge.cli.common import say
from edge.cli.watch import endpoint_of
from edge.domain import is_id
from edge.errors import ConfigError, InputError
from edge.ports import CAMERA_PATHS

MODEL = "models/dark-spots"
PICTURES = "pictures"

PLC_MODBUS = """\
[devices.plc]
driver = "modbus"
[devices.plc.options]
host = "192.168.0.10"    # an address is better than a name: looking up a name may hang
# port = 502
# unit_id = 1
# timeout_s = 0.5
# mode = "handshake"       # the same as in [plc]
# The registers are drawn in the guide, page "The PLC".

[plc]
# device = "plc"
# source = "camera"
# "handshake": parts have numbers and both sides have heartbeats. "coil": a trigger bit and a reject coil.
mode = "handshake"
# "plc": the verdict arrives before the decision point, and the PLC shifts and fires. "agent": we time the gate.
# gate = "plc"
# What becomes of a part without a verdict, and of one we are not sure of.
no_verdict = "reject"
unsure = "reject"
# A verdict later than this after its trigger is not sent any more.
# deadline_ms = 400.0
# heartbeat_ms = 100.0
# poll_ms = 4.0"""

PLC_NONE = """\
# No PLC: verdicts are only reported. With one:
# [devices.plc]
# driver = "modbus"
# options = { host = "192.168.0.10" }
# [plc]
# mode = "handshake"
# no_verdict = "reject"  # what becomes of a part without a verdict: reject | stop | pass"""

LINK_NONE = """\
# [link]
# host = "127.0.0.1"
# port = 1883
# tls = { ca = "certs/ca.pem", cert = "certs/agent.pem", key = "certs/agent.key" }"""

POLICY_OTHER = """\
# Whatever the model finds makes the part bad. For one label: [policy.labels.NAME]; without [policy.other] the labels that
# have no table of their own only inform.
[policy.other]
min_score = 0.5"""

app = typer.Typer(add_completion=False)


class Plc(StrEnum):
    """What the line is told through."""

    MODBUS = "modbus"
    NONE = "none"


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new folder, or one without an agent.toml.")],
    camera: Annotated[
        str, typer.Option(help="0 (USB), rtsp://…, http://…, a video or a folder; sample pictures when left out.")
    ] = "",
    plc: Annotated[Plc, typer.Option(help="How the line is told.")] = Plc.NONE,
    model: Annotated[str, typer.Option(help="Your bundle or .onnx; one that marks dark spots when left out.")] = "",
    agent_id: Annotated[str, typer.Option("--id", help="The agent's id.")] = "station-1",
    site: Annotated[str, typer.Option(help="The site's id.")] = "site",
    broker: Annotated[str, typer.Option(help="Where to report to, as mqtt://host:1883; nowhere when left out.")] = "",
) -> None:
    """Write a starter project with every setting explained. It runs as it is."""
    for option, value in (("--id", agent_id), ("--site", site)):
        if not is_id(value):
            raise ConfigError("ID_WRONG", f"{option} {value!r}", "an id has letters, digits, '.', '_', '-', at most 64")
    if agent_id == "coordinator":
        raise ConfigError("ID_WRONG", "--id 'coordinator' is reserved", hint="choose another id")
    if model and not Path(model).exists():
        raise InputError("MODEL_ABSENT", f"there is no {model}", hint="leave --model out for the starter's own")
    driver, options, finite = camera_table(camera)
    values = {
        "ID": agent_id,
        "SITE": site,
        "CAMERA_DRIVER": driver,
        "CAMERA_OPTIONS": options,
        "TRIGGER": "plc" if plc is Plc.MODBUS else "free",
        "DELIVER": "every" if finite or plc is Plc.MODBUS else "newest",
        "MODEL": str(Path(model).absolute()) if model else MODEL,
        "POLICY": POLICY_OTHER if model else "[policy.labels.dark]\nmin_score = 0.5",
        "PLC": PLC_MODBUS if plc is Plc.MODBUS else PLC_NONE,
        "PLC_TOO": " and the PLC" if plc is Plc.MODBUS else "",
        "LINK": link_table(broker),
        "SAMPLE": _sample(model=bool(model), camera=bool(camera)),
    }
    _write(folder, values, own_model=bool(model), own_camera=bool(camera))
    say(f"wrote {folder / 'agent.toml'}; next: cd {folder} && jidoka run --check agent.toml")


def camera_table(camera: str) -> tuple[str, str, bool]:
    """Driver, options as TOML, and whether every frame of it counts, from what a person calls a camera."""
    if not camera:
        said = f'source = "{PICTURES}"\n# Over and over, two pictures a second: it is only a sample.\nloop = true\nrate_hz = 2.0'
        return "opencv", said, True
    if camera.isascii() and camera.isdigit():
        return (
            "opencv",
            f"source = {int(camera)}           # /dev/video{int(camera)}\n# width_px = 1280\n# height_px = 720",
            False,
        )
    if camera.startswith("http://"):
        return "http", f'url = {json.dumps(camera)}\nmode = "snapshot"      # or "mjpeg" for a stream', False
    if camera.lower().startswith("rtsp://"):
        return (
            "opencv",
            f'source = {json.dumps(camera)}\n# transport = "tcp"      # or "udp", which loses pictures',
            False,
        )
    if "://" in camera or camera.startswith(CAMERA_PATHS):
        return "opencv", f"source = {json.dumps(camera)}", False
    path = Path(camera).absolute()
    if not path.exists():
        raise InputError("SOURCE_ABSENT", f"there is no {camera}", hint="give a number, a URL, a video or a folder")
    return "opencv", f"source = {json.dumps(str(path), ensure_ascii=False)}\n# loop = false\n# rate_hz = 0.0", True


def link_table(broker: str) -> str:
    """``[link]`` for a broker's URL. Raises ConfigError BROKER_URL_WRONG."""
    if not broker:
        return LINK_NONE
    if broker.startswith("mqtts://"):
        raise ConfigError(
            "BROKER_URL_WRONG", "TLS needs file names", hint="leave --broker out and fill in [link] by hand"
        )
    endpoint = endpoint_of(broker, None, None, None)
    return f"[link]\nhost = {json.dumps(endpoint.host)}\nport = {endpoint.port}"


def _sample(*, model: bool, camera: bool) -> str:
    said = []
    if not camera:
        said.append(
            "The pictures in `pictures/` are drawn, as a sample; `[sources.camera]` is the place for your camera.\n"
        )
    if not model:
        said.append("The model marks what is darker than its surroundings; `[model]` is the place for your own.\n")
    return "".join(said) + "\n" if said else ""


def _write(folder: Path, values: dict[str, str], *, own_model: bool, own_camera: bool) -> None:
    if (folder / "agent.toml").exists():
        raise InputError("INIT_EXISTS", f"{folder / 'agent.toml'} is already there", hint="name another folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with as_file(files("edge.cli") / "templates" / "project") as templates:
            for name in ("agent.toml", "README.md"):
                text = (templates / name).read_text(encoding="utf-8")
                for key, value in values.items():
                    # As TOML strings the values need escapes only where a path may hold them.
                    text = text.replace(f"@{key}@", json.dumps(value)[1:-1] if key == "MODEL" else value)
                (folder / name).write_text(text, encoding="utf-8")
            if not own_model:
                shutil.copytree(templates / MODEL, folder / MODEL, dirs_exist_ok=True)
        (folder / ".gitignore").write_text("data/\n", encoding="utf-8")
        if not own_camera:
            _draw_samples(folder / PICTURES)
    except OSError as error:
        raise InputError("INIT_FAILED", f"{folder} cannot be written", error.strerror or str(error)) from error


def _draw_samples(folder: Path) -> None:
    """Four plates, two of them with a dark spot: something to inspect before there is a camera."""
    import cv2

    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(1)
    for name, spots in (("1-good", 0), ("2-spot", 1), ("3-good", 0), ("4-spots", 2)):
        grain = np.repeat(rng.normal(0, 6, (240, 1)), 320, axis=1) + rng.normal(0, 2, (240, 320))
        plate = np.clip(170 + grain, 0, 255).astype(np.uint8)
        for _ in range(spots):
            centre = (int(rng.integers(60, 260)), int(rng.integers(60, 180)))
            cv2.circle(plate, centre, int(rng.integers(7, 14)), 60, -1, cv2.LINE_AA)
        cv2.imwrite(str(folder / f"{name}.png"), cv2.GaussianBlur(plate, (3, 3), 0))
