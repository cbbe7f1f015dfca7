"""What a file says of its licence, and what follows: said, not hidden."""

from __future__ import annotations

import re

_KEYS = ("license", "licence", "License", "model_license", "licenses")
_COPYLEFT = re.compile(r"\b(AGPL|GPL|SSPL|EUPL)\b", re.IGNORECASE)
_NOT_FREE = re.compile(r"non-?commercial|\bCC[- ]BY[- ]NC|research only|proprietary|enterprise", re.IGNORECASE)
_FREE = re.compile(r"\b(Apache|MIT|BSD|ISC|Zlib|CC0|Unlicense|MPL|LGPL|CC[- ]BY(?![- ]N))", re.IGNORECASE)
UNKNOWN = "unknown"


def licence_of(metadata: dict[str, str], author: str = "") -> str:
    """In the file's own words, at most 200 characters; ``unknown`` where it has none."""
    said = next((metadata[k] for k in _KEYS if metadata.get(k)), "")
    if not said and "ultralytics" in f"{metadata.get('author', '')} {author}".lower():
        said = "AGPL-3.0"
    return " ".join(said.split())[:200] or UNKNOWN


def warnings_of(licence: str) -> tuple[str, ...]:
    """Sentences that whoever uses the model must know."""
    if not licence or licence == UNKNOWN:
        return ("the file names no licence: ask where it is from before you use it",)
    if _COPYLEFT.search(licence) and "LGPL" not in licence:
        duty = "whoever passes it on, or (AGPL) lets others use it over a network, must offer the source of the whole"
        return (f"licence {licence!r}: {duty}, or buy another licence",)
    if _NOT_FREE.search(licence):
        return (f"licence {licence!r} does not allow every use: read it first",)
    return () if _FREE.search(licence) else (f"licence {licence!r} is not one we know: read it first",)
