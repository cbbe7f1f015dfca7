"""What the parts of the net want of each other and of the kernel."""

from __future__ import annotations

import random
from typing import Any, Protocol


class Clock(Protocol):
    """What a net wants of the kernel."""

    @property
    def now_ns(self) -> int: ...
    def post(self, t_ns: int, node: Any, event: Any, /) -> None: ...
    def rng(self, name: str, /) -> random.Random: ...


class Wires(Protocol):
    """What a wire wants of the net."""

    @property
    def clock(self) -> Clock: ...
    def dial(self, wire: Any, /) -> Way: ...


class Direction(Protocol):
    """One direction."""

    def send(self, packet: Any, /) -> None: ...


class Way(Protocol):
    """One connection."""

    @property
    def up(self) -> Direction: ...
    def hang_up(self) -> None: ...
    def vanish(self) -> None: ...
