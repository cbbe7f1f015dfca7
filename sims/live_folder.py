"""The folder of a live run: made anew, and what an earlier run left there kept once."""

from __future__ import annotations

from pathlib import Path

from edge.errors import InputError


def fresh(work: Path) -> Path:
    """An empty folder for this run; what an earlier one left there is moved aside, never mixed with it."""
    try:
        if work.exists():
            old = work.with_name(f"{work.name}-before")
            _remove(old)
            work.rename(old)
        work.mkdir(parents=True)
    except OSError as error:
        why = error.strerror or str(error)
        raise InputError("OUT_UNWRITABLE", f"cannot make {work}", why, "name another folder with --out") from error
    return work.resolve()


def _remove(folder: Path) -> None:
    if folder.is_dir():
        for inner in folder.iterdir():
            _remove(inner) if inner.is_dir() and not inner.is_symlink() else inner.unlink()
        folder.rmdir()
