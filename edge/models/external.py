"""Weights that lie in files beside the model ("external data" of the ONNX specification), read by us and by nobody else.

The runtime would open what the model names, while it loads: a hard link or a file put in its place after the check
would be read as well. So we read each file once, from inside the model's folder, through no link of any kind, and give
the bytes to the runtime. What was checked is what is used, in the trial and afterwards.

Source: https://github.com/onnx/onnx/blob/main/docs/ExternalData.md
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from edge.errors import ModelError

MAX_BYTES = 1024**3
"""Of all files of a model together."""
MAX_FILES = 200
_MAX_PARTS = 8
_MARK = b"location"
"""Without this key no tensor is elsewhere, so most models need not be looked into for it."""


def read_beside(onnx: bytes, model: Path) -> dict[str, bytes]:
    """The files that a model's tensors name, by location as the model writes it; empty for most models.

    ``model`` is where the model itself was read. Raises ModelError: MODEL_EXTERNAL_REFUSED (absolute, outside the
    folder, a link, hard-linked, no regular file, too short), MODEL_EXTERNAL_ABSENT, MODEL_TOO_LARGE, and what
    :func:`graph.read` raises.
    """
    if _MARK not in onnx:
        return {}
    # These know arrays, and a daemon reads its model while those are being imported.
    from edge.models import graph
    from edge.models.graph.weights import placed

    found = graph.read(onnx)
    tensors = [tensor for tensor in found.graph.constants.values() if tensor.external]
    locations = sorted({tensor.external.get("location", "") for tensor in tensors})
    if len(locations) > MAX_FILES:
        raise _refused(f"it names {len(locations)} files, at most {MAX_FILES} are read")
    files: dict[str, bytes] = {}
    left = MAX_BYTES
    for location in locations:
        if _parts(location) == (model.name,):
            raise _refused(f"it names itself ({location[:100]!r})")
        files[location] = _read(model.parent, location, left)
        left -= len(files[location])
    for tensor in tensors:
        place, location = placed(tensor), tensor.external.get("location", "")
        if place is None or sum(place) > len(files[location]):
            raise _refused(f"the place of {tensor.name[:80]!r} in {location[:100]!r} is not one")
    return files


def identity(onnx_sha256: str, files: Mapping[str, bytes], name: str = "model.onnx") -> str:
    """The sha256 that stands for a model: of the file alone; with external data, of the list that
    ``sha256sum model.onnx DATA…`` prints for it and its files, these sorted by location.
    """
    if not files:
        return onnx_sha256
    rows = [f"{onnx_sha256}  {name}"]
    rows += [f"{hashlib.sha256(data).hexdigest()}  {location}" for location, data in sorted(files.items())]
    return hashlib.sha256("".join(f"{row}\n" for row in rows).encode()).hexdigest()


def _parts(location: str) -> tuple[str, ...]:
    path = PurePosixPath(location)
    bad = not location or "\\" in location or "\0" in location or len(location) > 1024  # noqa: PLR2004  (as PATH_MAX / 4)
    if bad or path.is_absolute() or not path.parts or ".." in path.parts or len(path.parts) > _MAX_PARTS:
        raise _refused(f"it names {location[:100]!r}, which is not a file in the model's own folder")
    return path.parts


def _read(folder: Path, location: str, most: int) -> bytes:
    """One file, opened folder by folder from the model's own, so that no link on the way is followed."""
    *folders, name = _parts(location)
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
    here = -1
    try:
        here = os.open(folder, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY)
        for part in folders:
            here, last = os.open(part, flags | os.O_DIRECTORY, dir_fd=here), here
            os.close(last)
        file = os.open(name, flags | os.O_NONBLOCK, dir_fd=here)
    except (FileNotFoundError, NotADirectoryError) as error:
        if isinstance(error, NotADirectoryError):
            raise _refused(f"{location[:100]!r} goes through a link or a file") from error
        raise ModelError(
            "MODEL_EXTERNAL_ABSENT",
            "a part of the model is missing",
            f"its weights are in {location[:100]!r}, which is not beside it",
            "copy that file into the model's folder",
        ) from error
    except OSError as error:
        why = "is a link" if error.errno == errno.ELOOP else f"cannot be opened: {error.strerror}"
        raise _refused(f"{location[:100]!r} {why}", "copy the file itself (cp -L)") from error
    finally:
        if here >= 0:
            os.close(here)
    try:
        status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode):
            raise _refused(f"{location[:100]!r} is not a regular file")
        if status.st_nlink != 1:
            raise _refused(
                f"{location[:100]!r} has {status.st_nlink} names: a hard link may be anybody's file", "copy the file"
            )
        if status.st_size > most:
            raise ModelError(
                "MODEL_TOO_LARGE", "the model's external data is too large", f"at most {MAX_BYTES} bytes are read"
            )
        with os.fdopen(file, "rb", closefd=False) as opened:
            data = opened.read(most + 1)
    finally:
        os.close(file)
    if len(data) > most:
        raise ModelError("MODEL_TOO_LARGE", "the model's external data grew while it was read", "")
    return data


def _refused(why: str, hint: str = "export it again with its weights inside, or beside it") -> ModelError:
    return ModelError("MODEL_EXTERNAL_REFUSED", "the model's external data is refused", why, hint)
