"""On which line of a TOML file a key stands, so that an error can say where to write. Pure.

``tomllib`` reads values and forgets places. This reads places alone, of a text that ``tomllib`` has found to be valid:
table headers, keys (dotted and quoted too), and where a value ends, over strings and arrays of several lines.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

Path = tuple[str | int, ...]

_COMMENTED = re.compile(r"#+\s*([A-Za-z0-9_-]+)\s*=")
_QUOTES = ('"""', "'''", '"', "'")


class TomlLines:
    """Lines of keys. Paths are as in the parsed values: ``("senders", 0, "helplines", "default", "phone")``."""

    def __init__(self, text: str) -> None:
        self._values: Mapping[str, Any] = tomllib.loads(text)
        self._lines: dict[Path, int] = {}
        self._commented: dict[Path, int] = {}
        for path, line, is_comment in _keys(text.split("\n")):
            (self._commented if is_comment else self._lines).setdefault(path, line)

    def line(self, *path: str | int) -> int:
        """The line of this key; if it is not there, of a comment in its table that shows it (``# rate = 10``), else of
        the table it belongs into; 1 for what belongs nowhere yet."""
        for known in (self._lines, self._commented):
            if path in known:
                return known[path]
        return next((self._lines[path[:end]] for end in range(len(path) - 1, 0, -1) if path[:end] in self._lines), 1)

    def place(self, table: str, code: str) -> int | None:
        """Which entry of ``[[table]]`` has this code."""
        entries = self._values.get(table)
        if not isinstance(entries, list):
            return None
        return next((place for place, entry in enumerate(entries) if entry.get("code") == code), None)


def _keys(lines: list[str]) -> Iterator[tuple[Path, int, bool]]:
    """Path and line of each header and key, and whether it is commented out."""
    table: Path = ()
    arrays: dict[Path, int] = {}
    number = 0
    while number < len(lines):
        line = lines[number].strip()
        if line.startswith("#"):
            if shown := _COMMENTED.match(line):
                yield (*table, shown[1]), number + 1, True
        elif line.startswith("["):
            is_array = line.startswith("[[")
            inner = line[2 : line.index("]]")] if is_array else line[1 : _closing(line)]
            table = _resolved(_parts(inner), arrays, is_array=is_array)
            yield table, number + 1, False
        elif line:
            indent = len(lines[number]) - len(lines[number].lstrip())
            equals = _equals(line)
            yield (*table, *_parts(line[:equals])), number + 1, False
            number = _value_end(lines, number, indent + equals + 1)
        number += 1


def _resolved(parts: Path, arrays: dict[Path, int], *, is_array: bool) -> Path:
    """A header's path, with the place in each array of tables on the way."""
    path: Path = ()
    for depth, part in enumerate(parts, 1):
        path = (*path, part)
        if is_array and depth == len(parts):
            arrays[path] = arrays.get(path, -1) + 1
        if path in arrays:
            path = (*path, arrays[path])
    return path


def _parts(key: str) -> Path:
    """``a."b c".d`` → a, b c, d."""
    value: Any = tomllib.loads(f"{key.strip()} = 0")
    parts: list[str] = []
    while isinstance(value, dict):
        ((part, value),) = value.items()
        parts.append(part)
    return tuple(parts)


def _outside_strings(line: str) -> Iterator[tuple[int, str]]:
    quote = ""
    for column, letter in enumerate(line):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'":
            quote = letter
        else:
            yield column, letter


def _equals(line: str) -> int:
    return next(column for column, letter in _outside_strings(line) if letter == "=")


def _closing(line: str) -> int:
    return next(column for column, letter in _outside_strings(line) if letter == "]")


def _value_end(lines: list[str], number: int, column: int) -> int:
    """The last line of the value that begins here."""
    depth, quote = 0, ""
    while number < len(lines):
        line = lines[number]
        while column < len(line):
            if quote:
                if line.startswith(quote, column):
                    column, quote = column + len(quote), ""
                else:
                    column += 2 if quote[0] == '"' and line[column] == "\\" else 1
            elif opening := next((each for each in _QUOTES if line.startswith(each, column)), ""):
                column, quote = column + len(opening), opening
            elif line[column] == "#":
                break
            else:
                depth += (line[column] in "[{") - (line[column] in "]}")
                column += 1
        if not quote and depth <= 0:
            return number
        number, column = number + 1, 0
    return number
