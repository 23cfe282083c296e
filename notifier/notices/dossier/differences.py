"""What differs between two manifests: since the dossier was requested, or since the last approval. Pure.

``told`` names every single value that moved, old and new, for whoever must mend it; ``compared`` is what a dossier
shows of the last approved batch of its wave: texts line by line, segments, settings.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from notifier.notices.bound import Wording, differences

_LINES = 6  # of a text's difference, that an error quotes
# What follows from the rest, or is told apart.
_DERIVED = {"digest", "texts", "segments", "format", "campaign"}
_SINCE_REQUEST = Wording("new: {new}", "taken out, was {old}", "was {old}, now {new}")
_FRENCH = Wording("nouveau : {new}", "supprimé, était {old}", "était {old}, devient {new}")
_LIST = "the list of notifications (who is concerned, or how each is reached)"


def told(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Every difference, causes before what follows from them: ``segment 3 is new``, ``bound.relay.port (was 587, now
    25)``, ``the text of segment 3: …``. A change that many texts share is told once."""
    named = differences(_named(then), _named(now), _SINCE_REQUEST)
    if any(line.startswith("list.") for line in named):
        named = [_LIST, *(line for line in named if not line.startswith("list."))]
    texts = []
    for segments, lines in changed_texts(then, now):
        shown = _moved(lines)
        more = f" … and {len(shown) - _LINES} lines more" if len(shown) > _LINES else ""
        what = " ⏎ ".join(shown[:_LINES]) or "the same words in another page"
        texts.append(f"the text of segment {', '.join(map(str, segments))}: {what}{more}")
    return [*_segments(then, now), *named, *texts]


@dataclass(frozen=True, slots=True)
class Compared:
    """A batch beside the wave's last approved one. ``texts``: the segments whose texts changed in the same
    way, and the lines of the difference; ``settings``: bound settings and signers, old and new; ``files``: paths of
    templates that changed."""

    added: list[Mapping[str, Any]]
    removed: list[Mapping[str, Any]]
    texts: list[tuple[list[int], list[str]]]
    settings: list[str]
    files: list[str]


def compared(then: Mapping[str, Any], now: Mapping[str, Any]) -> Compared:
    """What a dossier shows. ``then``: the manifest of the last approved batch."""
    before, after = _by_id(then["segments"]), _by_id(now["segments"])
    return Compared(
        added=[after[number] for number in sorted(after.keys() - before.keys())],
        removed=[before[number] for number in sorted(before.keys() - after.keys())],
        texts=changed_texts(then, now),
        settings=[
            *differences(then["bound"], now["bound"], _FRENCH),
            *differences({"approval": _signers(then)}, {"approval": _signers(now)}, _FRENCH),
        ],
        files=sorted(
            path
            for path in then["files"].keys() | now["files"].keys()
            if then["files"].get(path) != now["files"].get(path)
        ),
    )


def changed_texts(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[tuple[list[int], list[str]]]:
    """Of the segments that both have: those whose text changed, grouped by what changed in it, with the unified diff of
    the first; no line of it when the words are the same and the page around them is not."""
    before, after = _texts(then), _texts(now)
    groups: dict[tuple[str, ...], tuple[list[int], list[str]]] = {}
    for number in sorted(before.keys() & after.keys()):
        if before[number] != after[number]:
            lines = list(_unified(before[number][0], after[number][0]))
            groups.setdefault(tuple(_moved(lines)), ([], lines))[0].append(number)
    return list(groups.values())


def _moved(lines: Sequence[str]) -> list[str]:
    """The lines of a unified diff that were taken out or put in, without its two headings."""
    return [line for line in lines[2:] if line[:1] in ("+", "-")]


def _unified(old: str, new: str) -> Iterator[str]:
    return difflib.unified_diff(old.splitlines(), new.splitlines(), "approuvé", "proposé", lineterm="", n=2)


def _texts(manifest: Mapping[str, Any]) -> dict[int, tuple[str, str]]:
    """Segment → (subject and text, hash of the page)."""
    return {
        number: (f"{each['subject']}\n\n{each['text']}", each["html_sha256"])
        for each in manifest["texts"]
        for number in each["segments"]
    }


def _segments(then: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    before, after = _by_id(then["segments"]), _by_id(now["segments"])
    for number in sorted(before.keys() | after.keys()):
        if number not in before:
            yield f"segment {number} is new ({after[number]['notifications']} notifications)"
        elif number not in after:
            yield f"segment {number} is there no more ({before[number]['notifications']} notifications)"
        elif before[number]["notifications"] != after[number]["notifications"]:
            yield (
                f"segment {number}: {after[number]['notifications']} notifications, "
                f"were {before[number]['notifications']}"
            )
        elif before[number] != after[number]:
            yield f"segment {number} is another one"


def _by_id(segments: Sequence[Mapping[str, Any]]) -> dict[int, Mapping[str, Any]]:
    return {segment["id"]: segment for segment in segments}


def _named(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The manifest with its lists by name instead of by place, so that one new item does not move all others."""
    named: dict[str, Any] = {key: value for key, value in manifest.items() if key not in _DERIVED}
    named["approval"] = _signers(manifest)
    named["files"] = {path: sha256[:12] for path, sha256 in manifest["files"].items()}
    named["routes"] = {
        "/".join(each[key] for key in ("route", "reason", "review", "excluded") if each[key]): each["notifications"]
        for each in manifest["routes"]
    }
    named["findings"] = {f"{each['code']} ({each['where']})": each["text"] for each in manifest["findings"]}
    for kind in ("files_in", "files_held"):
        named[kind] = {f"{each['kind']} {each['sha256'][:12]}": each for each in manifest[kind]}
    return named


def _signers(manifest: Mapping[str, Any]) -> dict[str, Any]:
    approval = manifest["approval"]
    return {**approval, "signers": {each["name"]: each for each in approval["signers"]}}
