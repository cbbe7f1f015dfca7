"""Plain files in one folder, written so that a power cut leaves either the old content or the new."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from edge.errors import StoreError
from edge.shell.segments import sync_folder, write_all

_TEMPORARY = ".tmp-"


class FolderDisk:
    """The real :class:`edge.ports.Disk`: flat names in ``folder``, which is made if need be.

    Every method raises StoreError: DISK_FULL, DISK_READ_ONLY, DISK_READ_FAILED, DISK_WRITE_FAILED, DISK_BAD_NAME (not
    a plain file name, or it starts with a dot). One writer a file.
    """

    def __init__(self, folder: Path | str) -> None:
        self._folder = Path(folder)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            for left_over in self._folder.glob(f"{_TEMPORARY}*"):
                left_over.unlink()
        except OSError as error:
            raise _failed("make", str(self._folder), error) from error

    def read(self, name: str) -> bytes | None:
        """The file's bytes, or None if there is no such file."""
        path = self._path(name)
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreError("DISK_READ_FAILED", f"cannot read {path}", error.strerror or "") from error

    def write_durably(self, name: str, data: bytes) -> None:
        """Replace the file: durable, whole and under its name when this returns; the old one if it raises."""
        path = self._path(name)
        temporary = path.with_name(_TEMPORARY + name)
        try:
            try:
                self._write(temporary, data)
                temporary.replace(path)
            except OSError:
                temporary.unlink(missing_ok=True)
                raise
            # Without this the rename itself may be undone by a power cut.
            sync_folder(self._folder)
        except OSError as error:
            raise _failed("write", str(path), error) from error

    @staticmethod
    def _write(path: Path, data: bytes) -> None:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        try:
            write_all(fd, data, 0)
            os.fsync(fd)
        finally:
            os.close(fd)

    def append(self, name: str, data: bytes) -> None:
        """Add at the end of the file; durable only after ``sync``. If it raises, the file is as it was."""
        path = self._path(name)
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                size = os.fstat(fd).st_size
                try:
                    write_all(fd, data, size)
                except OSError:
                    os.ftruncate(fd, size)
                    raise
            finally:
                os.close(fd)
        except OSError as error:
            raise _failed("append to", str(path), error) from error

    def sync(self, name: str) -> None:
        """Make what was appended durable, the file's name too."""
        path = self._path(name)
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)
            sync_folder(self._folder)
        except OSError as error:
            raise _failed("sync", str(path), error) from error

    def remove(self, name: str) -> None:
        """Remove the file durably; nothing if there is none."""
        path = self._path(name)
        try:
            path.unlink(missing_ok=True)
            sync_folder(self._folder)
        except OSError as error:
            raise _failed("remove", str(path), error) from error

    def names(self) -> list[str]:
        """The files there are, sorted."""
        try:
            return sorted(p.name for p in self._folder.iterdir() if p.is_file() and not p.name.startswith("."))
        except OSError as error:
            raise StoreError("DISK_READ_FAILED", f"cannot list {self._folder}", error.strerror or "") from error

    def _path(self, name: str) -> Path:
        if not name or name.startswith(".") or "/" in name or "\0" in name:
            raise StoreError("DISK_BAD_NAME", f"not a file name: {name!r}")
        return self._folder / name


def _failed(verb: str, path: str, error: OSError) -> StoreError:
    why = error.strerror or ""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return StoreError("DISK_FULL", f"cannot {verb} {path}", why, "free space on that disk")
    if error.errno in {errno.EROFS, errno.EACCES, errno.EPERM}:
        return StoreError("DISK_READ_ONLY", f"cannot {verb} {path}", why, "let this user write there")
    return StoreError("DISK_WRITE_FAILED", f"cannot {verb} {path}", why)
