"""``jidoka sim replay`` and ``jidoka sim compare``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

from edge.cli.common import note, progress, say, say_json, say_table
from edge.errors import ConfigError, Exit

if TYPE_CHECKING:
    from edge.trace.frames import Reader
    from edge.trace.head import Head
    from sims.compare import Compared
    from sims.difference import Difference
    from sims.replay import Replayed
    from sims.verdicts import Tally

Trace = Annotated[Path, typer.Argument(metavar="TRACE", help="What `jidoka run AGENT.toml --record FILE` wrote.")]
SettingsFile = Annotated[
    Path | None, typer.Option("--settings", metavar="AGENT.toml", help="Judge by these settings instead.")
]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change one setting, as policy.other.min_score=0.6; repeatable."),
]
Remote = Annotated[
    bool,
    typer.Option(
        "--keep-remote",
        help="With other settings, too, obey what the coordinator changed then. It goes over the file's.",
    ),
]
Out = Annotated[Path | None, typer.Option("-o", "--out", metavar="FILE", help="Write the replay's own trace.")]
Limit = Annotated[int, typer.Option(min=0, help="Show at most so many parts and fields.")]
Json = Annotated[bool, typer.Option("--json", help="Only the document, on stdout.")]


def replay(
    trace: Trace,
    settings: SettingsFile = None,
    set_: Sets = None,
    keep_remote: Remote = False,
    out: Out = None,
    limit: Limit = 20,
    json: Json = False,
) -> None:
    """Feed a recorded run to today's core, with its own settings or others, and say what becomes of the verdicts.

    With its own settings the core must do exactly what it did: status 1 and the first difference where it does not. With
    other settings differences are the answer, and the status is 0. Nothing moves, and no model is needed.
    """
    from sims.changed import unsure_of, without_remote
    from sims.replay import Replay
    from sims.trace_file import reading, writing

    with reading(trace) as (reader, file, size):
        old = reader.head
        new = _changed(old, settings, set_ or [])
        exact = new is old
        remote = exact or keep_remote
        head = new if remote else without_remote(new)
        doubts = [] if exact else unsure_of(old, new)
        with writing(out, head) as sink, progress("replay") as bar:
            run = Replay(head, exact=exact, remote=remote, sink=sink)
            done = run.run(reader.rows(), _shown(bar, file, size))
        doubts += _about(reader, trace)
    if done.revisions:
        doubts.append(f"{done.revisions} revisions from the coordinator were left out; --keep-remote obeys them")
    if json:
        say_json(
            {"trace": str(trace), "exact": exact, "out": str(out) if out else None, "notes": doubts, **_plain(done)}
        )
    else:
        _tell_replay(done, limit, exact=exact)
        for doubt in doubts:
            note(f"note: {doubt}")
    raise typer.Exit(int(Exit.MISSED if done.crash or (exact and not done.same) else Exit.OK))


def compare(
    a: Annotated[Path, typer.Argument(metavar="A", help="A trace: before.")],
    b: Annotated[Path, typer.Argument(metavar="B", help="A trace: after.")],
    limit: Limit = 20,
    json: Json = False,
) -> None:
    """Show the first difference of two traces field by field, and which parts were judged otherwise.

    Status 0 when they are the same, 1 when they differ.
    """
    from sims.compare import compare as side_by_side
    from sims.trace_file import reading

    with reading(a) as (left, _, _), reading(b) as (right, file, size), progress("compare") as bar:
        heads = left.head, right.head
        done = side_by_side(heads, (left.rows(), right.rows()), _shown(bar, file, size))
        doubts = _about(left, a) + _about(right, b)
    if json:
        say_json({"a": str(a), "b": str(b), "notes": doubts, **_plain(done)})
    else:
        _tell_compared(done, limit)
        for doubt in doubts:
            note(f"note: {doubt}")
    raise typer.Exit(int(Exit.OK if done.same else Exit.MISSED))


def _changed(old: Head, file: Path | None, sets: list[str]) -> Head:
    """The head with what was asked for; the same one where nothing is otherwise."""
    from sims.changed import with_settings, with_values

    new = old
    if file is not None:
        from edge.assembly import core_settings, policy_names
        from edge.config import load_agent
        from edge.core.settings import RecipeSettings

        loaded = load_agent(file)
        model = old.settings.recipes["default"].model
        types = {name: recipe.part_type for name, recipe in loaded.config.recipes.items()}
        names = policy_names(loaded)
        recipes = {name: RecipeSettings(model, types.get(name)) for name in names}
        new = with_settings(old, core_settings(loaded, recipes), names)
    if sets:
        pairs = [one.partition("=") for one in sets]
        wrong = next((one for one, (_, sign, _) in zip(sets, pairs, strict=True) if not sign), None)
        if wrong is not None:
            raise ConfigError("SETTING_MALFORMED", f"--set {wrong!r} has no value", hint="write KEY=VALUE")
        new = with_values(new, {key: value for key, _, value in pairs})
    return old if new == old else new


def _about(reader: Reader, path: Path) -> list[str]:
    """How a trace ended, where that is not with the agent's own stop."""
    end = reader.end
    if end is None:
        return [f"{path.name} was cut: its agent was killed, or its disk was full"]
    said = []
    if end.why != "stopped" or end.lost:
        words = {"full": "it was full", "slow": "the disk was too slow", "disk": "the disk failed", "bug": "of a bug"}
        why = words.get(end.why, "its agent stopped")
        said.append(f"{path.name} ends before its agent's run did: {why}; {end.lost} events came after it")
    if end.changed:
        said.append(f"{path.name}: under pseudonyms {end.changed} parts were judged otherwise than on the line")
    return said


def _shown(bar: Any, file: BinaryIO, size: int) -> Callable[[int], None]:
    task = bar.add_task("KiB", total=max(1, size // 1024))

    def show(_rows: int) -> None:
        bar.update(task, completed=file.tell() // 1024)

    return show


def _plain(done: Replayed | Compared) -> dict[str, Any]:
    import msgspec

    plain: dict[str, Any] = msgspec.to_builtins(done)
    return plain


def _tell_replay(done: Replayed, limit: int, *, exact: bool) -> None:
    if done.crash:
        say(f"the core died of row {done.rows}: {done.crash}")
    minutes = done.seconds / 60
    if exact:
        outcome = "exactly as recorded" if done.same else f"{done.differing} rows differ from the recorded ones"
        say(f"{done.rows} rows of {minutes:.1f} min: {outcome}")
        if done.first is not None:
            _tell_first(done.first, limit)
    else:
        say(f"{done.rows} rows of {minutes:.1f} min, judged by other settings")
    _tell_verdicts(done.verdicts, limit)


def _tell_compared(done: Compared, limit: int) -> None:
    if done.settings:
        rows = [(one.path, _cell(one.before), _cell(one.after)) for one in done.settings[:limit]]
        say_table(("setting", "before", "after"), rows)
    if done.same:
        say(f"no difference in {done.rows[0]} rows")
    else:
        say(f"{done.differing} rows differ, of {done.rows[0]} and {done.rows[1]}")
    if done.first is not None:
        _tell_first(done.first, limit)
    _tell_verdicts(done.verdicts, limit)


def _tell_first(first: Difference, limit: int) -> None:
    rows_differ = first.row_before != first.row_after
    place = f"row {first.row_before}" + (f" (after: {first.row_after})" if rows_differ else "")
    say(f"first difference: {place}, {first.at_s:.3f} s, {first.event}")
    say_table(("field", "before", "after"), [(f.path, _cell(f.before), _cell(f.after)) for f in first.fields[:limit]])


def _tell_verdicts(tally: Tally, limit: int) -> None:
    kinds = sorted({*tally.before, *tally.after}, key=("pass", "fail", "unsure", "none").index)
    if kinds:
        rows = [(kind, tally.before.get(kind, 0), tally.after.get(kind, 0)) for kind in kinds]
        say_table(("verdict", "before", "after"), rows)
    if tally.ways:
        say_table(("change", "parts"), tally.ways.items())
    more = f", {tally.reasons} more for other reasons" if tally.reasons else ""
    say(f"{tally.parts} parts, {tally.changed} judged otherwise{more}")
    shown = tally.changes[:limit]
    if shown:
        columns = ("part", "part_no", "at s", "before", "after", "reasons before", "reasons after")
        say_table(columns, [_change_row(one) for one in shown])
    if tally.changed > len(shown):
        note(f"note: {tally.changed - len(shown)} more; --limit shows them, --json the first 1000")


def _change_row(one: Any) -> tuple[object, ...]:
    reasons = ["; ".join(texts) for texts in (one.reasons_before, one.reasons_after)]
    number = "" if one.part_no is None else one.part_no
    return (one.part_id, number, f"{one.at_s:.1f}", one.before or "absent", one.after or "absent", *reasons)


def _cell(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 160 else text[:157] + "..."
