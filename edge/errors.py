"""The error tree. Every error a user can meet has a stable code and one line that helps.

    JidokaError                 exit 70   (only our own bugs leave it bare)
    ├── ConfigError             exit 3    a settings file or command-line value is wrong
    ├── ModelError              exit 3    a model or bundle cannot be trusted or used
    ├── ImageError              exit 3    a picture or video cannot be read
    ├── InputError              exit 3    a file or folder is absent or not what it should be
    ├── DeviceError             exit 4    a camera, PLC, robot or sensor does not do its part
    │   └── SourceEnded         exit 0    a finite source (file, folder) has no more frames
    ├── LinkError               exit 5    broker, port, TLS
    ├── RemoteError             exit 5    something that came over the wire is refused and counted
    └── StoreError              exit 6    journal, ledger, disk

Codes match ``[A-Z0-9]+(_[A-Z0-9]+)+`` and never change meaning once published.
The last line on stderr is ``CODE: what; why; what to do``.
"""

from __future__ import annotations

import re
from enum import IntEnum
from typing import ClassVar

CODE_PATTERN = re.compile(r"[A-Z0-9]+(_[A-Z0-9]+)+")


class Exit(IntEnum):
    """Exit statuses of every ``jidoka`` command."""

    OK = 0
    MISSED = 1
    USAGE = 2
    INPUT = 3
    DEVICE = 4
    LINK = 5
    STORE = 6
    BUG = 70
    AGAIN = 75
    """EX_TEMPFAIL of sysexits.h: asked to restart; the service manager starts us again."""
    INTERRUPTED = 130


class JidokaError(Exception):
    """Base of all errors of this project.

    ``code`` is the stable word; ``what`` happened; ``why``, as far as is known; ``hint`` says what to do.
    """

    exit_status: ClassVar[Exit] = Exit.BUG

    def __init__(self, code: str, what: str, why: str = "", hint: str = "") -> None:
        if not CODE_PATTERN.fullmatch(code):
            raise ValueError(f"not an error code: {code!r}")
        super().__init__(code, what, why, hint)
        self.code = code
        self.what = what
        self.why = why
        self.hint = hint

    def __str__(self) -> str:
        parts = (_one_line(p) for p in (self.what, self.why, self.hint))
        return f"{self.code}: " + "; ".join(p for p in parts if p)


class ConfigError(JidokaError):
    """A settings file, key or command-line value is wrong."""

    exit_status = Exit.INPUT


class ModelError(JidokaError):
    """A model or bundle cannot be read, trusted or used."""

    exit_status = Exit.INPUT


class ImageError(JidokaError):
    """A picture or video cannot be read within the limits."""

    exit_status = Exit.INPUT


class InputError(JidokaError):
    """A file or folder that was named is absent or of the wrong kind."""

    exit_status = Exit.INPUT


class DeviceError(JidokaError):
    """A device did not answer, answered nonsense or refused."""

    exit_status = Exit.DEVICE


class SourceEnded(DeviceError):  # noqa: N818 - an end, not an error to a user
    """A finite source (video file, folder) has delivered its last frame. Not a fault."""

    exit_status = Exit.OK

    def __init__(self, source: str) -> None:
        super().__init__("SOURCE_ENDED", f"{source} has no more frames")


class LinkError(JidokaError):
    """Broker, network port or TLS."""

    exit_status = Exit.LINK


class RemoteError(JidokaError):
    """A message from outside is refused; it is counted and dropped, never fatal."""

    exit_status = Exit.LINK


class StoreError(JidokaError):
    """Journal, ledger or disk."""

    exit_status = Exit.STORE


def _one_line(text: str) -> str:
    return " ".join(text.split())
