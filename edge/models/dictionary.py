"""The characters of a text recogniser: written in the manifest, in a file of the bundle, or in the model's metadata."""

from __future__ import annotations

from msgspec import structs

from edge.errors import ModelError
from edge.models.bundle import MAX_FILE_BYTES, Bundle, sha256_of
from edge.models.files import read_bounded
from edge.models.guard import Signature
from edge.vision.conventions import CtcHead, HeadSpec
from edge.vision.heads.base import pick
from edge.vision.heads.ctc import classes_of

METADATA_KEY = "character"
"""Where PaddleOCR's and RapidOCR's exports keep the dictionary: one character a line."""

MAX_CHARACTERS = 200_000


def completed(found: Bundle, signature: Signature) -> HeadSpec:
    """The manifest's head with all that it needs to know: a CTC head with its characters, one a class but the blank.

    Raises ModelError MODEL_DICTIONARY_ABSENT, MODEL_DICTIONARY_UNFIT, and what reading the file raises.
    """
    head = found.manifest.output
    if not isinstance(head, CtcHead):
        return head
    characters = tuple(head.characters) or _from_file(found, head) or lines_of(signature.metadata.get(METADATA_KEY, ""))
    shapes = {output.name: tuple(d or 0 for d in output.shape) for output in signature.outputs}
    classes = classes_of(head, pick(shapes, head.output))
    if not characters:
        raise ModelError(
            "MODEL_DICTIONARY_ABSENT",
            f"the model tells {classes} characters apart and nothing says which",
            f"there is no dictionary in the manifest, and no {METADATA_KEY!r} in the model's metadata",
            "name its dictionary file with --labels when you pack it",
        )
    if head.space or (head.space is None and len(characters) + 2 == classes):
        characters = (*characters, " ")
    if len(characters) + 1 != classes:
        raise ModelError(
            "MODEL_DICTIONARY_UNFIT",
            f"the dictionary has {len(characters)} characters, the model {classes} classes",
            "one class is the blank, and all others must have their character",
            "take the dictionary that belongs to this model",
        )
    return structs.replace(head, characters=characters)


def lines_of(text: str) -> tuple[str, ...]:
    """One character (or more) a line; an empty line at the end is none, but a space is a character."""
    lines = text.replace("\r\n", "\n").split("\n")
    while lines and not lines[-1]:
        lines.pop()
    return tuple(lines[:MAX_CHARACTERS])


def _from_file(found: Bundle, head: CtcHead) -> tuple[str, ...]:
    if not head.dictionary:
        return ()
    listed = found.manifest.files
    if found.folder is None or (listed and head.dictionary not in listed):
        raise ModelError("MODEL_DICTIONARY_ABSENT", f"[files] does not list the dictionary {head.dictionary!r}")
    path = found.folder / head.dictionary
    if not path.resolve().is_relative_to(found.folder.resolve()):
        raise ModelError("MODEL_DICTIONARY_ABSENT", f"the dictionary {head.dictionary!r} is outside the bundle")
    data = read_bounded(path, MAX_FILE_BYTES)
    if listed and sha256_of(data) != listed[head.dictionary]:
        raise ModelError("MODEL_CHECKSUM", f"{head.dictionary} is not the file that the manifest lists")
    try:
        return lines_of(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ModelError("MODEL_DICTIONARY_UNFIT", f"{head.dictionary} is not UTF-8", str(error)) from error
