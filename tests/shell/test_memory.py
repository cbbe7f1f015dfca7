"""Large blocks come from the system and go back to it, whatever was freed before."""

from __future__ import annotations

import subprocess
import sys

import pytest

LOOK = """
import sys
import numpy as np
from edge.shell.memory import LARGE_BYTES, keep_large_blocks_apart

def resident_kb():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmRSS"))

if sys.argv[1] == "set" and not keep_large_blocks_apart():
    print("no mallopt")
    sys.exit()
np.ones(8 * LARGE_BYTES, np.uint8)  # freed at once: by default blocks of its size come from the heap from now on
held, small = [], []
for _ in range(16):
    held.append(np.ones(4 * LARGE_BYTES, np.uint8))
    small.append(bytearray(5_000))  # sits above the large one
before = resident_kb()
held.clear()
print(before - resident_kb())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks at /proc")
def test_what_is_freed_goes_back_to_the_system() -> None:
    def given_back_kb(how: str) -> int:
        command = [sys.executable, "-c", LOOK, how]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
        if not said.lstrip("-").isdigit():
            pytest.skip(said)
        return int(said)

    assert given_back_kb("set") > 60_000
    assert given_back_kb("default") < 10_000
