"""A journal killed in the middle of writing, again and again."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from edge.domain import KINDS
from edge.shell.journal import Journal

WRITER = """
import sys
from edge.shell.journal import Journal
def told(kind, upto):
    print(kind, upto, flush=True)
journal = Journal(sys.argv[1], segment_bytes=4096, on_committed=told, delay_s=0.001)
print("boot", journal.bump("boot_no"), flush=True)
while True:
    for kind, heads in journal.heads().items():
        for seq in range(heads.last + 1, heads.last + 6):
            assert journal.append(kind, f"{kind} {seq} ".encode() * (1 + seq % 7)) == seq
    journal.flush()
"""


def test_killed_again_and_again_it_loses_nothing_committed(tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    lost: list[object] = []
    committed: dict[str, int] = dict.fromkeys(KINDS, 0)
    for boot in range(1, 7):
        command = [sys.executable, "-c", WRITER, str(folder)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == f"boot {boot}\n"
            for _ in range(30 * boot):
                kind, upto = writer.stdout.readline().split()
                assert int(upto) > committed[kind], "a number was used again"
                committed[kind] = int(upto)
            writer.send_signal(signal.SIGKILL)
            for line in writer.stdout:
                if line.endswith("\n"):
                    kind, upto = line.split()
                    committed[kind] = int(upto)
        journal = Journal(folder, on_evicted=lambda *what: lost.append(what))
        assert journal.flush()
        for kind, heads in journal.heads().items():
            assert heads.last >= committed[kind]
            committed[kind] = heads.last
            right = [(n, f"{kind} {n} ".encode() * (1 + n % 7)) for n in range(1, heads.last + 1)]
            assert journal.read(kind, 1, 10**6, 10**9) == right
        journal.close()
    assert lost == []
