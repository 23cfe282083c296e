"""Where to write what a finding asks for: the file and the line. Pure, but for
``places_of``, which reads campaign.toml.

A finding on a setting names it as ``section.key``, ``[section]`` or ``[[table]] code: key``: its line in campaign.toml
is looked up, or the variable that overrides it named. A finding on a segment has the file of its frame: the line is the
one, there or in a part that it includes, that prints what the finding speaks of, or something of the same kind. Where a
thing is missing altogether, that is the best guess and no more: the first line of the frame, at worst.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from notifier.campaign import FILE, PREFIX
from notifier.notices.catalogue import Catalogue
from notifier.notices.findings import Finding
from notifier.toml_lines import TomlLines

_IN_FILE = re.compile(r"((?:templates|data)/[^\s,:]+)(?:, line (\d+|\?))?(?:: ([a-z0-9_.]+)(?=$|:))?")
_ENTRY = re.compile(r"\[\[([a-z_]+)\]\] ([^\s:]+)(?:: ([A-Za-z0-9_.]+))?")
_SECTION = re.compile(r"\[([A-Za-z0-9_.-]+)\](?: ([A-Za-z0-9_.]+))?$")
_SETTING = re.compile(r"[a-z_]+(?:\.[a-z_]+)*$")
_INCLUDE = re.compile(r"\{%-?\s*include\s+[\"\']([^\"\']+)[\"\']")
_PRINTED = re.compile(r"\b(?:person|sender|helpline|incident|paragraph|wave|complaint)\.\w+")
_HEADING = re.compile(r"\"(# [^\"]+)\"")
_NAMED_FILE = re.compile(r"no (?:such )?file (\S+)|names (\S+\.\w+)")
_LAYOUT_HINTS = ("<html", "<a ", "<img", "<link", "<script", "<form", "<button", "<input", "url(", "@import", "http")


def places_of(folder: Path, catalogue: Catalogue) -> Places:
    """The places of a campaign folder, whose texts were loaded as ``catalogue``."""
    return settings_places(folder, catalogue.files)


def settings_places(
    folder: Path, files: Mapping[str, bytes] = MappingProxyType({}), environment: Mapping[str, str] = os.environ
) -> Places:
    """The places of campaign.toml, and of ``files``."""
    try:
        text = (folder / FILE).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):  # it was read a moment ago; a finding without a line is better than none
        text = ""
    return Places(text, files, environment)


# Findings on what is in the database, not in a text.
_NOT_WRITTEN = frozenset({"file-held", "shared-mailbox", "contact-of-another-sender"})


class Places:
    """The texts that findings speak of: campaign.toml as it is read, and the catalogue's files."""

    def __init__(self, campaign: str, files: Mapping[str, bytes], environment: Mapping[str, str]) -> None:
        self._campaign = TomlLines(campaign)
        self._files = files
        self._environment = environment

    def located(self, findings: Iterable[Finding]) -> list[Finding]:
        """The findings, each with its file and line as far as it has one."""
        return [self._located(finding) for finding in findings]

    def _located(self, finding: Finding) -> Finding:
        if finding.line or finding.code in _NOT_WRITTEN:
            return finding
        if told := _IN_FILE.match(finding.where) or _IN_FILE.match(finding.text):
            file, line, key = told[1], told[2], told[3]
            return replace(
                finding, file=file, line=int(line) if line and line != "?" else self._line(finding, file, key)
            )
        if finding.file in self._files and not _ENTRY.match(finding.text):  # else it is for campaign.toml to mend
            return self._in_frame(finding)
        return self._setting(finding)

    # -- campaign.toml ---------------------------------------------------------------------------------------------

    def _setting(self, finding: Finding) -> Finding:
        path: tuple[str | int, ...]
        where = finding.where
        if entry := _ENTRY.match(where) or _ENTRY.search(finding.text):
            place = self._campaign.place(entry[1], entry[2])
            if place is None:
                return replace(finding, file=FILE, line=self._campaign.line(entry[1], 0))
            keys = [int(key) if key.isdigit() else key for key in (entry[3] or "").split(".") if key]
            path = (entry[1], place, *keys)
        elif section := _SECTION.match(where):
            path = (*section[1].split("."), *(section[2].split(".") if section[2] else ()))
        elif _SETTING.match(where):
            path = tuple(where.split("."))
            variable = PREFIX + "__".join(str(part) for part in path).upper()
            if variable in self._environment:
                return replace(finding, file=variable)
        else:
            return finding
        return replace(finding, file=FILE, line=self._campaign.line(*path))

    # -- templates and data ----------------------------------------------------------------------------------------

    def _line(self, finding: Finding, file: str, key: str | None) -> int:
        """The line in a file that the finding names itself, without a line."""
        if file.endswith(".toml"):
            lines = TomlLines(self._text(file))
            if key:
                return lines.line(*key.split("."))
            if named := _NAMED_FILE.search(finding.text):
                base = (named[1] or named[2]).rpartition("/")[2]
                return next((at for at, row in self._rows(file) if base in row and "file" in row), 1)
            table = re.search(r"\[\[?([a-z_.]+)\]?\]", finding.text)
            return lines.line(*table[1].split("."), 0) if table else 1
        return self._search(finding, [file])[1]

    def _in_frame(self, finding: Finding) -> Finding:
        """A finding on a segment; its file is the frame, or the layout where the layout is what it speaks of."""
        frame = finding.file
        layout = next((path for path in self._layouts(frame) if self._speaks_of(finding, path)), "")
        if layout:
            return replace(finding, file=layout, line=self._layout_line(finding, layout))
        file, line = self._search(finding, [frame, *self._included(frame)])
        return replace(finding, file=file, line=line)

    def _layouts(self, frame: str) -> list[str]:
        """The layouts that a frame may stand in: its language's own before the one of all (never the kit's)."""
        language = "/".join(frame.split("/")[:2])
        return [path for path in (f"{language}/layout.html", "templates/layout.html") if path in self._files]

    def _speaks_of(self, finding: Finding, path: str) -> bool:
        if finding.text.startswith(path.rpartition("/")[2]):
            return True
        # What a text cannot hold (lint looks at each) stands in the layout.
        return finding.code in {"remote-load", "form", "link", "parity"} and bool(self._layout_hint(path))

    def _layout_hint(self, path: str) -> int:
        return next((at for at, row in self._rows(path) if any(hint in row for hint in _LAYOUT_HINTS[1:])), 0)

    def _layout_line(self, finding: Finding, path: str) -> int:
        if finding.code == "lang":
            return next((at for at, row in self._rows(path) if "<html" in row), 1)
        if selector := re.match(r"\S+: ([^:<>]+): ", finding.text):
            # The last: what is kept as a rule stands in the media query at the end (the others are inlined).
            return max((at for at, row in self._rows(path) if row.strip().startswith(selector[1])), default=1)
        if finding.code == "text-size":
            return next((at for at, row in self._rows(path) if re.search(r"font-size:\s*(?:\d|1[0-5])px", row)), 1)
        return self._layout_hint(path) or next((at for at, row in self._rows(path) if "<style" in row), 1)

    def _search(self, finding: Finding, files: list[str]) -> tuple[str, int]:
        """The first line of these files that prints what the finding names, or its kind; else the first line."""
        hints = [*_HEADING.findall(finding.text), *_PRINTED.findall(finding.text)]
        if named := _NAMED_FILE.search(finding.text):
            hints.insert(0, (named[1] or named[2]).rpartition("/")[2])
        hints += [f"{hint.partition('.')[0]}." for hint in hints if "." in hint and not hint.startswith("#")]
        for hint in hints:
            for file in files:
                for at, row in self._rows(file):
                    if hint in row:
                        return file, at
        return files[0], 1

    def _included(self, file: str) -> list[str]:
        folder = "/".join(file.split("/")[:2])
        found: list[str] = []
        waiting = [file]
        while waiting:
            for name in _INCLUDE.findall(self._text(waiting.pop())):
                path = f"{folder}/{name}"
                if path in self._files and path not in found:
                    found.append(path)
                    waiting.append(path)
        return found

    def _text(self, file: str) -> str:
        return self._files[file].decode("utf-8", "replace").replace("\r\n", "\n") if file in self._files else ""

    def _rows(self, file: str) -> Iterator[tuple[int, str]]:
        return enumerate(self._text(file).split("\n"), 1)
