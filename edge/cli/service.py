"""``jidoka service unit``: a hardened systemd unit for the agent on this machine."""

from __future__ import annotations

import re
import sys
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from edge.cli.common import say
from edge.errors import ConfigError

TEMPLATE = "jidoka.service"
HOMES = (Path("/home"), Path("/root"), Path("/run/user"))
NO_DEVICES = """\
# No devices: cameras and PLCs on the network need none (--camera-device for a USB camera).
PrivateDevices=yes
PrivateUsers=yes
DevicePolicy=closed"""

app = typer.Typer(add_completion=False)


@app.callback()
def service() -> None:
    """Run the agent as a systemd service."""


@app.command()
def unit(
    config: Annotated[Path, typer.Option(help="The agent's settings.")] = Path("/etc/jidoka/agent.toml"),
    data_dir: Annotated[Path, typer.Option(help="The only folder it may write to.")] = Path("/var/lib/jidoka"),
    user: Annotated[str, typer.Option(help="Who it runs as; not root.")] = "jidoka",
    camera_device: Annotated[list[Path] | None, typer.Option(help="A USB camera, as /dev/video0; repeatable.")] = None,
    watchdog_s: Annotated[int, typer.Option(min=2, max=600, help="Restart it when it is silent for so long.")] = 30,
) -> None:
    """Print a hardened unit file. Nothing is installed: its first lines say how."""
    say(text(config, data_dir, user, camera_device or [], watchdog_s).rstrip("\n"))


def text(config: Path, data_dir: Path, user: str, cameras: list[Path], watchdog_s: int) -> str:
    """The unit's text. Raises ConfigError UNIT_VALUE_WRONG for what systemd would read in another way."""
    if not re.fullmatch(r"[a-z_][a-z0-9_-]{0,31}", user):
        raise ConfigError("UNIT_VALUE_WRONG", f"--user {user!r} is not a user's name")
    command = Path(sys.executable).absolute().with_name("jidoka")
    config, data_dir = config.absolute(), data_dir.absolute()
    for path in (command, config, data_dir, *cameras):
        # A space, quote, '%' or '$' means something else in a unit file; escaping differs from key to key.
        if not re.fullmatch(r"/[\w./:@+-]*", str(path)):
            raise ConfigError(
                "UNIT_VALUE_WRONG", f"{str(path)!r} cannot stand in a unit file", hint="use a plain absolute path"
            )
    needed = (command, config, data_dir, Path(sys.prefix).absolute(), Path(sys.base_prefix).absolute())
    in_home = any(path.is_relative_to(home) for path in needed for home in HOMES)
    return (
        (files("edge.cli") / "templates" / TEMPLATE)
        .read_text(encoding="utf-8")
        .format(
            command=command,
            config=config,
            folder=config.parent,
            data_dir=data_dir,
            user=user,
            watchdog_s=watchdog_s,
            # With `yes` homes look empty; what it runs from must stay readable.
            protect_home="read-only" if in_home else "yes",
            devices=_devices(cameras),
        )
    )


def _devices(cameras: list[Path]) -> str:
    if not cameras:
        return NO_DEVICES
    lines = [
        "# Only these cameras. No PrivateUsers: the group video would not be known in there.",
        "DevicePolicy=closed",
    ]
    lines += [f"DeviceAllow={camera} rw" for camera in cameras]
    return "\n".join([*lines, "SupplementaryGroups=video"])
