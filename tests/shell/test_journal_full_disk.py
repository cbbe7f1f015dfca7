"""A journal on a disk that is really full."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

FULL_DISK = """
import os, sys
from pathlib import Path
from edge.shell.journal import Journal
folder, policy = Path(sys.argv[1]), sys.argv[2]
told = []
def evicted(kind, seqs, why):
    told.append((kind, why))
journal = Journal(folder / "j", max_bytes=64 << 20, segment_bytes=64 << 10, critical_full=policy, on_evicted=evicted,
                  on_full=lambda full: told.append(("full", full)),
                  on_error=lambda error: told.append(("error", error and error.code)))
reserve = folder / "j" / "reserve"
assert reserve.stat().st_blocks * 512 >= 1 << 20
for kind in ("evidence", "results"):
    for n in range(5000):
        if not journal.append(kind, n.to_bytes(4) + bytes(1996)) and policy == "stop_line":
            break
        if n % 50 == 49 and not journal.flush(3):
            break
kinds = [k for k, _ in told]
heads = journal.heads()
print("reserve", reserve.exists())
print("order", list(dict.fromkeys(k for k in kinds if k in ("evidence", "results", "full", "error"))))
print("why", sorted({w for k, w in told if k in ("evidence", "results")}))
if policy == "stop_line":
    last = heads["results"].last
    journal.free("results", last)
    assert journal.flush(5)
    print("told", [t for t in told if t[0] in ("full", "error")])
    assert journal.append("results", b"again") > last
    assert journal.flush(5)
heads = journal.heads()
journal.close()
again = Journal(folder / "j", max_bytes=64 << 20)
assert again.heads() == heads, (again.heads(), heads)
first = heads["results"].first
got = again.read("results", first, 10**6, 10**9)
print("held", [n for n, _ in got] == list(range(first, heads["results"].last + 1)))
again.close()
"""


def on_a_small_disk(policy: str, folder: Path) -> dict[str, str]:
    """Run FULL_DISK on a file system of 8 MiB of its own, in a user and mount namespace of its own."""
    mount = f'mount -t tmpfs -o size=8m none "{folder}" && exec "$@"'
    if shutil.which("unshare") is None:
        pytest.skip("there is no unshare program to make a small disk with")
    if subprocess.run(["unshare", "-rm", "sh", "-c", mount, "sh", "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine does not let us mount a small disk")
    command = ["unshare", "-rm", "sh", "-c", mount, "sh", sys.executable, "-c", FULL_DISK, str(folder), policy]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return dict(line.split(" ", 1) for line in done.stdout.splitlines())


def test_on_a_full_disk_the_reserve_goes_then_evidence_then_the_oldest(tmp_path: Path) -> None:
    said = on_a_small_disk("evict_oldest", tmp_path)
    assert said["order"] == "['evidence', 'results']"
    assert said["why"] == "['no_space']"
    assert said["reserve"] == "False"
    assert said["held"] == "True"


def test_on_a_full_disk_the_line_stops_if_so_configured_and_goes_on_after_an_ack(tmp_path: Path) -> None:
    said = on_a_small_disk("stop_line", tmp_path)
    assert said["order"] == "['evidence', 'full', 'error']"
    assert said["told"] == "[('full', True), ('error', 'JOURNAL_NO_SPACE'), ('error', None), ('full', False)]"
    assert said["held"] == "True"
