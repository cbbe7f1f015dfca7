"""Deadlines of several parts as one; asked after every event, so without lists."""

from __future__ import annotations


def earliest(*at_ns: int | None) -> int | None:
    """The smallest of those that are there; None where none is."""
    due_ns: int | None = None
    for one in at_ns:
        if one is not None and (due_ns is None or one < due_ns):
            due_ns = one
    return due_ns
