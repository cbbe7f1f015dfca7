"""Write again what the documents say from the code, or with ``--check`` say whether they are current.

``docs/asyncapi.json`` and ``docs/model.schema.json`` are written whole. In Markdown files only the blocks between ``<!-- generated: NAME -->`` and
``<!-- end -->`` are; the rest is written by people.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version
from inspect import cleandoc
from pathlib import Path
from typing import Any

import msgspec
from reference import doc, fields, settings

import edge.errors
from edge.core.match import MatchOptions, TextRule
from edge.core.policy import LabelRule, ThresholdOptions
from edge.domain import KINDS, Finding, ModelRef, Reason
from edge.errors import Exit
from edge.messages import Evidence, Latency
from edge.models import files, guard
from edge.models.bundle import Manifest
from edge.models.series.manifest import SeriesManifest
from edge.topics import MAX_PACKET_BYTES, MAX_RECORD_BYTES, ROOT, TABLE, WINDOW_BYTES, WINDOW_RECORDS, Row

DOCS = Path(__file__).resolve().parent
ROOT_DIR = DOCS.parent
BLOCK = re.compile(r"(<!-- generated: ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def topics_table() -> str:
    """One row a topic."""
    lines = ["| kind | from | message | QoS | retained | every | at most | coding | what it is |", "|" + "---|" * 9]
    for row in TABLE:
        what = " or ".join(f"[{one.__name__}](#{one.__name__.lower()})" for one in (row.records or (row.message,)))
        batch = f"batch of {what}" if row.records else what
        every = f"{row.every_s:g} s" if row.every_s else "on change"
        retained = "yes" if row.retain else "no"
        size = f"{row.max_bytes // 1024} KiB"
        lines.append(
            f"| `{row.kind}` | {row.sender} | {batch} | {row.qos} | {retained} | {every} | {size} | {row.codec} | {row.says} |"
        )
    return "\n".join(lines)


def limits_table() -> str:
    """The numbers both sides keep to."""
    rows = [(f"one record of `{kind}`", f"{MAX_RECORD_BYTES[kind] // 1024} KiB") for kind in KINDS]
    rows += [
        ("records of one stream sent and not yet acknowledged", f"{WINDOW_RECORDS}"),
        ("bytes of one stream sent and not yet acknowledged", f"{WINDOW_BYTES // 1024} KiB"),
        ("largest packet announced to the broker", f"{MAX_PACKET_BYTES // 1024} KiB"),
    ]
    return "\n".join(["| limit | value |", "|---|---|", *(f"| {left} | {right} |" for left, right in rows)])


def messages() -> str:
    """Every message and record with its fields."""
    kinds: list[type] = []
    for row in TABLE:
        kinds += [one for one in (row.message, *row.records) if one not in kinds]
    parts = []
    for kind in [*kinds, Finding, Reason, ModelRef, Latency]:
        tag = kind.__struct_config__.tag
        tagged = f"`t` is `{tag!r}`. ".replace("'", '"') if tag else ""
        parts.append(f"### {kind.__name__}\n\n{tagged}{doc(kind)}\n\n{fields(kind)}")
    return "\n\n".join(parts)


def policy() -> str:
    """``[policy]`` of the built-in ones."""
    tables = (
        ("[policy]", ThresholdOptions),
        ("[policy.labels.NAME] and [policy.other]", LabelRule),
        ('[policy] with name = "match"', MatchOptions),
        ("[policy.read.NAME]", TextRule),
    )
    return "\n\n".join(f"### `{name}`\n\n{doc(kind)}\n\n{fields(kind, units=True)}" for name, kind in tables)


LEDGER = "the ledger … cannot be used"


def _calls() -> Iterator[tuple[str, str, str]]:
    """(error class, code, what) of every error our source can raise."""
    classes = {name for name in vars(edge.errors) if name.endswith("Error")}
    for path in sorted(p for folder in ("edge", "drivers", "sims") for p in (ROOT_DIR / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Tuple):  # tables that turn a database's codes into ours
                words = (part.value for part in node.elts if isinstance(part, ast.Constant))
                yield from (("StoreError", word, LEDGER) for word in words if str(word).startswith("STORE_"))
            if not isinstance(node, ast.Call) or not node.args:
                continue
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            code = node.args[0]
            if name in classes and isinstance(code, ast.Constant) and isinstance(code.value, str):
                yield name, code.value, _text(node.args[1]) if len(node.args) > 1 else ""


def _made() -> Iterator[tuple[str, str, str]]:
    """The same of codes that are put together or looked up while it runs."""
    for what, kind in files._ERRORS.items():  # noqa: SLF001 - the one list there is
        yield kind.__name__, f"{what}_ABSENT", "… does not exist"
        yield kind.__name__, f"{what}_NOT_A_FILE", "… is not a regular file"
        yield kind.__name__, f"{what}_TOO_LARGE", "… has … bytes"
        yield kind.__name__, f"{what}_UNREADABLE", "… cannot be read"
    for code, what in guard._WHAT.items():  # noqa: SLF001
        yield "ModelError", code, what
    for what in ("driver", "policy", "head"):
        yield "ConfigError", f"{what.upper()}_UNKNOWN", f"there is no {what} called …"
        yield "ConfigError", f"{what.upper()}_NOT_INSTALLED", f"{what} … needs a library that is not installed"
    yield "LinkError", "LINK_TLS", "no TLS with …"
    yield "LinkError", "LINK_NOT_AUTHORISED", "the broker at … says: Not authorized"
    yield "StoreError", "FILE_UNWRITABLE", "cannot write …"


def _text(node: ast.expr) -> str:
    """A string as far as it is fixed; what is filled in is shown as …"""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
    return ""


def errors() -> str:
    """Every code with its status and what is said first."""
    found: dict[str, tuple[str, set[str]]] = {}
    for name, code, what in (*_calls(), *_made()):
        found.setdefault(code, (name, set()))[1].add(" ".join(what.replace("|", "/").split()))
    lines = ["| code | status | what is said |", "|---|---|---|"]
    for code, (name, whats) in sorted(found.items()):
        said = "; or ".join(sorted(filter(None, whats))[:2])
        lines.append(f"| `{code}` | {int(getattr(edge.errors, name).exit_status)} | {said} |")
    lines.append(f"| `USAGE_WRONG` | {int(Exit.USAGE)} | what typer says of the command line |")
    return "\n".join(lines)


def statuses() -> str:
    """Exit statuses."""
    says = {
        Exit.OK: "done (`infer`: whatever the verdict)",
        Exit.MISSED: "goals or thresholds missed; something to mend",
        Exit.USAGE: "the command line was wrong",
        Exit.INPUT: "unusable input: settings, model, bundle, picture, folder; or an extra is missing",
        Exit.DEVICE: "a camera, PLC or other device",
        Exit.LINK: "broker, network port, TLS",
        Exit.STORE: "journal, ledger, disk",
        Exit.BUG: "a defect of ours",
        Exit.AGAIN: "start it again: asked for by `restart`, done by the service manager",
        Exit.INTERRUPTED: "Ctrl-C",
    }
    return "\n".join(["| status | meaning |", "|---|---|", *(f"| {int(one)} | {says[one]} |" for one in Exit)])


def asyncapi() -> str:
    """The contract as an AsyncAPI 3.0 document, seen from the coordinator."""
    kinds = [*dict.fromkeys(one for row in TABLE for one in (row.message, *row.records))]
    _, schemas = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
    document = {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Jidoka",
            "version": version("jidoka-edge"),
            "description": "What travels between agents and the coordinator over MQTT 5. Generated; see protocol.md.",
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {row.kind: _channel(row) for row in TABLE},
        "operations": {f"{_verb(row)}-{row.kind}": _operation(row) for row in TABLE},
        "components": {"messages": {row.kind: _message(row) for row in TABLE}, "schemas": _plain(schemas)},
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"


def model_schema() -> str:
    """``model.toml`` as JSON Schema 2020-12, from the structs it is read into: of pictures, or of series."""
    kinds = [Manifest, SeriesManifest]
    (_, _), schemas = msgspec.json.schema_components(kinds, ref_template="#/$defs/{name}")
    about = schemas["About"]
    about["required"] = [key for key in about["required"] if key != "task"]  # the head says it
    document = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "model.toml of a Jidoka bundle",
        "anyOf": [{"$ref": f"#/$defs/{kind.__name__}"} for kind in kinds],
        "$defs": schemas,
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"


def _verb(row: Row) -> str:
    return "receive" if row.sender == "agent" else "send"


def _channel(row: Row) -> dict[str, Any]:
    return {
        "address": f"{ROOT}/{{site}}/{{agent}}/{row.kind}",
        "description": row.says,
        "messages": {row.kind: {"$ref": f"#/components/messages/{row.kind}"}},
        "parameters": {"site": {"description": "Id of the site."}, "agent": {"description": "Id of the agent."}},
    }


def _operation(row: Row) -> dict[str, Any]:
    return {
        "action": _verb(row),
        "channel": {"$ref": f"#/channels/{row.kind}"},
        "summary": row.says,
        "bindings": {"mqtt": {"qos": row.qos, "retain": row.retain, "bindingVersion": "0.2.0"}},
    }


def _message(row: Row) -> dict[str, Any]:
    payload: dict[str, Any] = {"$ref": f"#/components/schemas/{row.message.__name__}"}
    if row.records:
        refs = [{"$ref": f"#/components/schemas/{one.__name__}"} for one in row.records]
        items = refs[0] if len(refs) == 1 else {"anyOf": refs}
        payload = {"allOf": [payload, {"type": "object", "properties": {"body": {"type": "array", "items": items}}}]}
    packed = row.codec == "msgpack"
    return {
        "name": row.kind,
        "contentType": "application/vnd.msgpack" if packed else "application/json",
        "x-max-bytes": row.max_bytes,
        "payload": payload,
    }


def _plain(schemas: dict[str, Any]) -> dict[str, Any]:
    """In msgpack a picture is raw bytes; JSON Schema can only say base64. Docstrings lose the indent that Python keeps
    up to 3.12, so that every Python writes the same.
    """
    for schema in schemas.values():
        if "description" in schema:
            schema["description"] = cleandoc(schema["description"])
    jpeg = schemas[Evidence.__name__]["properties"]["jpeg"]
    schemas[Evidence.__name__]["properties"]["jpeg"] = {**jpeg, "description": "msgpack bin: the JPEG itself"}
    return schemas


BLOCKS: dict[str, Callable[[], str]] = {
    "topics": topics_table,
    "limits": limits_table,
    "messages": messages,
    "settings": settings,
    "policy": policy,
    "errors": errors,
    "statuses": statuses,
}


def documents() -> Iterator[tuple[Path, str]]:
    """Each file with the text it should have."""
    yield DOCS / "asyncapi.json", asyncapi()
    yield DOCS / "model.schema.json", model_schema()
    for path in sorted(DOCS.rglob("*.md")):
        text = path.read_text(encoding="utf-8")
        yield path, BLOCK.sub(lambda block: block[1] + BLOCKS[block[2]]() + "\n" + block[3], text)


def main(args: list[str]) -> int:
    """Write, or with ``--check`` compare. Returns the exit status."""
    stale = []
    for path, text in documents():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(str(path.relative_to(ROOT_DIR)))
            if args != ["--check"]:
                path.write_text(text, encoding="utf-8")
    if not stale:
        return 0
    if args != ["--check"]:
        sys.stdout.write("wrote " + ", ".join(stale) + "\n")
        return 0
    sys.stderr.write(f"DOCS_STALE: {', '.join(stale)} does not say what the code does; run `make docs`\n")
    return 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
