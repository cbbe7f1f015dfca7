"""Topic filters: who wants a topic, found level by level; never a walk over all clients.

A filter without a wildcard is one dict entry. Filters with ``+`` or ``#`` are a tree by level. Members of a shared
subscription take turns, connected or not, as Mosquitto's do.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

MAX_LEVELS: Final = 200
"""Mosquitto refuses a topic or filter with more."""
MAX_TOPIC_BYTES: Final = 65_535
SHARE: Final = "$share/"


class Sub:
    """One subscription of one session."""

    __slots__ = ("as_published", "no_local", "qos", "session")

    def __init__(self, session: Any, qos: int, *, no_local: bool, as_published: bool) -> None:
        self.session = session
        self.qos = qos
        self.no_local = no_local
        self.as_published = as_published


class Leaf:
    """Everybody who subscribed with one filter: by client id, and by group in order of turns."""

    __slots__ = ("groups", "plain")

    def __init__(self) -> None:
        self.plain: dict[str, Sub] = {}
        self.groups: dict[str, dict[str, Sub]] | None = None


class _Node:
    __slots__ = ("below", "here")

    def __init__(self) -> None:
        self.below: dict[str, _Node] = {}
        self.here: Leaf | None = None


def split_share(text: str) -> tuple[str, str]:
    """(group, filter); the group is empty where the subscription is not shared (4.8.2)."""
    if not text.startswith(SHARE):
        return "", text
    group, _, rest = text[len(SHARE) :].partition("/")
    return group, rest


def filter_ok(text: str) -> bool:
    """Whether a broker takes this filter (4.7.1, 4.8.2)."""
    if not text or len(text.encode()) > MAX_TOPIC_BYTES or "\0" in text:
        return False
    if text.startswith("$share"):
        group, text = split_share(text)
        if not group or not text or "+" in group or "#" in group:
            return False
    levels = text.split("/")
    if len(levels) > MAX_LEVELS:
        return False
    alone = all(level in {"+", "#"} or not ("+" in level or "#" in level) for level in levels)
    return alone and "#" not in levels[:-1]


def topic_ok(text: str) -> bool:
    """Whether a message may have this topic (4.7.1, 4.7.3)."""
    return bool(text) and not ("+" in text or "#" in text or "\0" in text) and text.count("/") < MAX_LEVELS


def matcher(text: str) -> re.Pattern[str]:
    """A filter as a pattern to be matched fully. ``$`` topics are found by no leading wildcard (4.7.2)."""
    levels = text.split("/")
    head = "(?!\\$)" if levels[0] in {"+", "#"} else ""
    if levels[-1] == "#":
        body = "/".join("[^/]*" if level == "+" else re.escape(level) for level in levels[:-1])
        # `a/#` takes in `a` itself
        return re.compile(head + (f"{body}(/.*)?" if levels[:-1] else ".*"), re.DOTALL)
    return re.compile(head + "/".join("[^/]*" if level == "+" else re.escape(level) for level in levels), re.DOTALL)


class Topics:
    """All subscriptions of all sessions."""

    def __init__(self) -> None:
        self._exact: dict[str, Leaf] = {}
        self._root = _Node()

    def add(self, text: str, client_id: str, sub: Sub) -> None:
        """Put one in, in place of what the client had on the same filter. The filter was checked."""
        group, bare = split_share(text)
        leaf = self._leaf(bare)
        if not group:
            leaf.plain[client_id] = sub
            return
        if leaf.groups is None:
            leaf.groups = {}
        leaf.groups.setdefault(group, {})[client_id] = sub

    def remove(self, text: str, client_id: str) -> None:
        """Take one out; nothing where there is none."""
        group, bare = split_share(text)
        way = self._way(bare)
        leaf = self._exact.get(bare) if way is None else way[-1][0].here if way else None
        if leaf is None:
            return
        if not group:
            leaf.plain.pop(client_id, None)
        elif leaf.groups is not None and (members := leaf.groups.get(group)) is not None:
            members.pop(client_id, None)
            if not members:
                del leaf.groups[group]
        if leaf.plain or leaf.groups:
            return
        if way is None:
            del self._exact[bare]
            return
        way[-1][0].here = None
        for (node, level), (parent, _) in zip(way[:0:-1], way[-2::-1], strict=True):
            if not node.below and node.here is None:
                del parent.below[level]

    def leaves(self, topic: str) -> list[Leaf]:
        """Leaves of every filter that takes in ``topic``, in an order that only the subscriptions decide."""
        exact = self._exact.get(topic)
        found = [] if exact is None else [exact]
        if self._root.below:
            levels = topic.split("/")
            self._walk(self._root, levels, 0, found, wild=not topic.startswith("$"))
        return found

    def _walk(self, node: _Node, levels: list[str], at: int, found: list[Leaf], *, wild: bool = True) -> None:
        below = node.below
        if at == len(levels):
            if node.here is not None:
                found.append(node.here)
        else:
            if (same := below.get(levels[at])) is not None:
                self._walk(same, levels, at + 1, found)
            if wild and (anyone := below.get("+")) is not None:
                self._walk(anyone, levels, at + 1, found)
        if wild and (rest := below.get("#")) is not None and rest.here is not None:
            found.append(rest.here)

    def _leaf(self, bare: str) -> Leaf:
        if not _is_wild(bare):
            leaf = self._exact.get(bare)
            if leaf is None:
                leaf = self._exact[bare] = Leaf()
            return leaf
        node = self._root
        for level in bare.split("/"):
            step = node.below.get(level)
            if step is None:
                step = node.below[level] = _Node()
            node = step
        if node.here is None:
            node.here = Leaf()
        return node.here

    def _way(self, bare: str) -> list[tuple[_Node, str]] | None:
        """Nodes from the root down to the filter's, each with its level; empty if absent, None for an exact filter."""
        if not _is_wild(bare):
            return None
        way = [(self._root, "")]
        for level in bare.split("/"):
            step = way[-1][0].below.get(level)
            if step is None:
                return []
            way.append((step, level))
        return way


def _is_wild(text: str) -> bool:
    return "+" in text or "#" in text


def retained_for(text: str, retained: dict[str, Any]) -> Iterable[Any]:
    """What of the retained messages a new subscription is given, oldest topic first."""
    if not _is_wild(text):
        one = retained.get(text)
        return () if one is None else (one,)
    fits = matcher(text).fullmatch
    return [message for topic, message in retained.items() if fits(topic)]
