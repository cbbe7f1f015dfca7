"""Reading files that nobody vouches for: regular ones only, up to a size, and never waiting for ever."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from edge.errors import ImageError, InputError, ModelError

_ERRORS = {"MODEL": ModelError, "IMAGE": ImageError, "VIDEO": ImageError, "FILE": InputError}


def read_bounded(path: Path, max_bytes: int, what: str = "MODEL", *, head: int | None = None) -> bytes:
    """The whole content of a regular file of at most ``max_bytes``, or only its first ``head`` bytes.

    Opened without blocking and then looked at through its descriptor, so that a FIFO cannot hang us (a FIFO as model
    path otherwise hangs the runtime for ever) and nobody can swap the file between look and read.
    ``what`` is MODEL, IMAGE, VIDEO or FILE and decides the error type and its codes: MODEL_ABSENT, MODEL_NOT_A_FILE,
    MODEL_TOO_LARGE, MODEL_UNREADABLE.
    """
    error_type = _ERRORS[what]
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise error_type(f"{what}_ABSENT", f"{path} does not exist", "", "check the path") from error
    except (OSError, ValueError) as error:
        raise error_type(f"{what}_UNREADABLE", f"{path} cannot be opened", _reason(error)) from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise error_type(f"{what}_NOT_A_FILE", f"{path} is not a regular file", "it is a folder, pipe or device")
        if head is None and status.st_size > max_bytes:
            raise error_type(f"{what}_TOO_LARGE", f"{path} has {status.st_size} bytes", f"at most {max_bytes} are read")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            # One byte more than allowed: a file that grows while it is read is noticed, not followed.
            data = file.read(max_bytes + 1 if head is None else head)
    except OSError as error:
        raise error_type(f"{what}_UNREADABLE", f"{path} cannot be read", _reason(error)) from error
    finally:
        os.close(descriptor)
    if len(data) > max_bytes:
        raise error_type(f"{what}_TOO_LARGE", f"{path} grew past {max_bytes} bytes while it was read")
    return data


def _reason(error: OSError | ValueError) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)
