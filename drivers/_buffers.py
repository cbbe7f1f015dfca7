"""Memory for frames, used again and again.

A 720p frame has 2.8 MB. Asked for anew each time, from a heap that other threads share, it leaves holes: over hours
resident memory rises in steps of a frame. Given back to the system each time, its 700 pages cost 1.1 ms to be had again,
half of what it takes to decode a JPEG of that size. So a source keeps a few frames' worth of its own, outside the heap.
"""

from __future__ import annotations

import math
import mmap
import sys
from typing import Any

import numpy as np

from edge.ports import Image

MOST = 6
"""Frames of one source that are looked at at once: read, waiting, in two workers, kept for evidence, the newest. Where
more are held, those over it come and go with the system's own memory."""

LOOK_BACK = 100
"""Takes after which buffers that none of them needed are given back."""

_PRIVATE: dict[str, int] = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, "MAP_PRIVATE") else {}


class Buffers:
    """Frames' memory of one source; for one thread.

    A buffer is free when nobody refers to its array any more: views and slices of it refer to it as well, and so does
    OpenCV while it works on one. That is told by CPython's count of references; what the count is for a free one is
    looked up once, as it differs between versions.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._held: list[Image] = []
        self._shape: tuple[int, ...] = ()
        self._takes = self._in_use = 0

    @property
    def count(self) -> int:
        """Buffers that are kept now, in use or not."""
        return len(self._held)

    def expect(self, shape: tuple[int, ...]) -> None:
        """What frames look like from now on: uint8, ``(height, width, channels)``."""
        if shape != self._shape:
            self._held, self._shape = [], shape

    def take(self) -> Image | None:
        """A C-contiguous array of any values that nobody else holds; None before the shape is known."""
        if not self._shape:
            return None
        free = (at for at in range(len(self._held)) if _references(self._held, at) == _FREE)
        at = next(free, len(self._held))
        if at == self._most:
            return _outside_heap(self._shape)
        if at == len(self._held):
            self._held.append(_outside_heap(self._shape))
        image = self._held[at]
        self._forget(at + 1)
        return image

    def _forget(self, in_use: int) -> None:
        """Give back what the last takes did without: how many frames are held at once rises with every hitch."""
        self._takes, self._in_use = self._takes + 1, max(self._in_use, in_use)
        if self._takes == LOOK_BACK:
            del self._held[self._in_use :]
            self._takes = self._in_use = 0


def _outside_heap(shape: tuple[int, ...]) -> Image:
    """Pages of the system's, given back when the array goes. Its base is no array, so views of it refer to itself."""
    return np.ndarray(shape, np.uint8, mmap.mmap(-1, max(1, math.prod(shape)), **_PRIVATE))


def _references(held: list[Any], at: int) -> int:
    return sys.getrefcount(held[at])


_FREE = _references([np.empty(1)], 0)
