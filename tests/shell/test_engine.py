"""Memory that loading a model leaves behind."""

from __future__ import annotations

import platform
import resource
from pathlib import Path

import pytest

from edge.shell.engine import give_back_memory

PAGE = resource.getpagesize()


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="malloc_trim(3) is glibc's")
def test_free_memory_below_memory_in_use_goes_back():
    blocks = [bytes(PAGE) for _ in range(10_000)]
    last = blocks[-1]  # holds the heap's top, so that it cannot shrink by itself
    before = resident_bytes()
    del blocks
    give_back_memory()
    assert before - resident_bytes() > 5_000 * PAGE
    assert len(last) == PAGE


def test_it_may_be_called_whenever():
    give_back_memory()
    give_back_memory()
