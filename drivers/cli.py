"""``jidoka camera``: what a person does with a camera before an agent does."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import msgspec
import typer

from drivers._figures import Scale, figures_of, scale_of_board
from drivers._live_view import LiveView
from drivers._opencv import is_live, shown
from drivers._setup_server import SetupServer
from edge.errors import ConfigError, DeviceError
from edge.ports import FrameSource
from edge.registry import DRIVERS, load

FILE_RATE_HZ = 5.0
LOOK_S = 5.0
POLL_S = 0.2
BOARD = re.compile(r"(\d{1,3})[x×](\d{1,3})")

camera_app = typer.Typer(add_completion=False, no_args_is_help=True, help="Set up a camera.")


class Chosen(NamedTuple):
    """A source, and what goes into ``agent.toml`` for it (without what only this tool needs)."""

    source: FrameSource
    driver: str
    options: dict[str, Any]


@camera_app.callback()
def camera() -> None:
    """Set up a camera: live view, focus, light, millimetres per pixel."""


@camera_app.command()
def setup(
    source: Annotated[str, typer.Argument(help="Camera number, rtsp:// or http:// url, video file or picture folder.")],
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of the page on 127.0.0.1; 0 takes a free one.")] = 0,
    target_width_mm: Annotated[
        float | None, typer.Option(help="True length of the line to be drawn on a target.")
    ] = None,
    board: Annotated[str, typer.Option(help="With --json: chessboard by its inner corners, such as 9x6.")] = "",
    square_mm: Annotated[float | None, typer.Option(help="With --board: side of a square.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Measure one picture, print the figures, and end.")] = False,
) -> None:
    """Show the live picture in a page, with focus and light, find mm per px, and print lines for agent.toml."""
    if target_width_mm is not None and not 0 < target_width_mm <= 100_000:  # noqa: PLR2004 - a hundred metres
        raise ConfigError("TARGET_INVALID", f"{target_width_mm:g} mm is no width of a target", hint="give it in mm")
    chosen = choose(source)
    if as_json:
        _print_json(chosen, source, *_board(board, square_mm))
        return
    _serve(chosen, source, port, target_width_mm or 0.0)


def choose(source: str) -> Chosen:
    """The driver and its options for a source as a person writes it. Opens http cameras to see what they send.

    Raises ConfigError, DeviceError.
    """
    if source.startswith("http://"):
        return _choose_http(source)
    name: int | str = int(source) if source.isascii() and source.isdigit() and len(source) < 4 else source  # noqa: PLR2004
    live = is_live(name)
    options = {"source": name if live else str(Path(source).absolute())}
    only_here = {} if live else {"loop": True, "rate_hz": FILE_RATE_HZ}
    return Chosen(_made("opencv", options | only_here), "opencv", options)


def toml_lines(driver: str, options: dict[str, Any], scale: Scale | None) -> str:
    """What to paste into ``agent.toml``."""
    lines = ["[sources.camera]", f'driver = "{driver}"']
    if scale is not None:
        lines.append(f"mm_per_px = {scale.mm_per_px:.6g}  # {scale.how}")
    lines += ["", "[sources.camera.options]", *(f"{key} = {_toml(value)}" for key, value in options.items())]
    return "\n".join(lines) + "\n"


def _serve(chosen: Chosen, title: str, port: int, length_mm: float) -> None:
    # A source that is not there is told at once, not in the page.
    chosen.source.open()
    live = LiveView(chosen.source)
    try:
        server = SetupServer(
            live,
            shown(title),
            lambda scale: toml_lines(chosen.driver, chosen.options, scale),
            port=port,
            length_mm=length_mm,
        )
    except BaseException:
        chosen.source.close()
        raise
    live.start()
    server.start()
    typer.echo(f"open {server.url} in a browser on this machine; Ctrl-C ends", err=True)
    try:
        while not server.done.wait(POLL_S):
            pass
    except KeyboardInterrupt:
        typer.echo("", err=True)
    finally:
        live.stop()
        server.close()
    typer.echo(toml_lines(chosen.driver, chosen.options, server.scale), nl=False)


def _print_json(chosen: Chosen, title: str, board: tuple[int, int] | None, square_mm: float) -> None:
    try:
        chosen.source.open()
        frame = chosen.source.read(LOOK_S)
    finally:
        chosen.source.close()
    scale = None
    if board is not None:
        scale = scale_of_board(frame.image, *board, square_mm)
        if scale is None:
            raise DeviceError(
                "BOARD_NOT_FOUND",
                f"no chessboard with {board[0]} x {board[1]} inner corners in the picture",
                hint="count corners, not squares, and show all of the board",
            )
    figures = msgspec.to_builtins(figures_of(frame.image))
    size = {"width_px": frame.image.shape[1], "height_px": frame.image.shape[0]}
    found = {} if scale is None else {"mm_per_px": scale.mm_per_px, "tilt_pct": scale.tilt_pct}
    typer.echo(json.dumps({"source": shown(title), **size, **figures, "mm_per_px": None, **found}, indent=2))


def _board(text: str, square_mm: float | None) -> tuple[tuple[int, int] | None, float]:
    """``9x6`` to its inner corners. Raises ConfigError BOARD_INVALID."""
    if not text:
        return None, 0.0
    found = BOARD.fullmatch(text)
    if found is None or not all(3 <= int(n) <= 100 for n in found.groups()):  # noqa: PLR2004 - what the detector takes
        raise ConfigError("BOARD_INVALID", f"--board {text!r} is no board", hint="inner corners, such as 9x6")
    if square_mm is None or not 0 < square_mm <= 100_000:  # noqa: PLR2004 - a hundred metres
        raise ConfigError("BOARD_INVALID", "--board needs --square-mm", hint="the side of one square in mm")
    return (int(found[1]), int(found[2])), square_mm


def _choose_http(url: str) -> Chosen:
    """A stream if the camera sends one, else single pictures."""
    stream = _made("http", {"url": url, "mode": "mjpeg", "newest": True})
    try:
        stream.open()
    except DeviceError as error:
        if error.code != "FRAME_MALFORMED":
            raise
        options = {"url": url, "mode": "snapshot"}
        return Chosen(_made("http", options), "http", options)
    finally:
        stream.close()
    return Chosen(stream, "http", {"url": url, "mode": "mjpeg"})


def _made(driver: str, options: dict[str, Any]) -> FrameSource:
    kind = load(DRIVERS, driver)
    try:
        made: FrameSource = kind("camera", msgspec.convert(options, kind.Options))
    except msgspec.ValidationError as bad:
        raise ConfigError("SOURCE_INVALID", f"{shown(str(options))} does not fit driver {driver!r}", str(bad)) from bad
    return made


def _toml(value: Any) -> str:
    """Strings and numbers; a JSON string is a TOML string."""
    return json.dumps(value, ensure_ascii=False)
