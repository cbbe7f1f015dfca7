"""Reading files that nobody vouches for: regular ones only, up to a size, and never waiting for ever."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from edge.errors import ModelError


def read_bounded(path: Path, max_bytes: int) -> bytes:
    """The whole content of a regular file of at most ``max_bytes``.

    Opened without blocking and then looked at through its descriptor, so that a FIFO cannot hang us (a FIFO as model
    path otherwise hangs the runtime for ever) and nobody can swap the file between look and read.
    Raises ModelError: MODEL_ABSENT, MODEL_NOT_A_FILE, MODEL_TOO_LARGE, MODEL_UNREADABLE.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ModelError("MODEL_ABSENT", f"{path} does not exist", "", "check the path") from error
    except (OSError, ValueError) as error:
        raise ModelError("MODEL_UNREADABLE", f"{path} cannot be opened", _reason(error)) from error
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise ModelError("MODEL_NOT_A_FILE", f"{path} is not a regular file", "it is a folder, pipe or device")
        if status.st_size > max_bytes:
            raise ModelError("MODEL_TOO_LARGE", f"{path} has {status.st_size} bytes", f"at most {max_bytes} are read")
        try:
            # One byte more than allowed: a file that grows while it is read is noticed, not followed.
            data = file.read(max_bytes + 1)
        except OSError as error:
            raise ModelError("MODEL_UNREADABLE", f"{path} cannot be read", _reason(error)) from error
    if len(data) > max_bytes:
        raise ModelError("MODEL_TOO_LARGE", f"{path} grew past {max_bytes} bytes while it was read")
    return data


def _reason(error: OSError | ValueError) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)
