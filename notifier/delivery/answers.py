"""What a server says, taken apart: bytes in, answers out. Pure, and bounded whatever comes.

A reply is one line or several with the same code (RFC 5321 4.2). Bytes may come one by one, and several replies at
once. What is no SMTP (another shape, a line or a reply too long) becomes one answer with code 0 that holds the
beginning of what was said; after it the reader is ``spoiled`` and says nothing more: replies could no longer be told
apart, let alone be counted to the commands they answer.
"""

from __future__ import annotations

import re
from typing import NamedTuple

LONGEST_LINE = 4096  # bytes; RFC 5321 4.5.3.1.5 allows 512
LONGEST_ANSWER = 16_384  # bytes, all lines together
MOST_LINES = 100
NOT_SMTP = 0  # the code of an answer that is none

_LINE = re.compile(rb"([2-5][0-9][0-9])(?:([ -])(.*))?", re.DOTALL)
_CODES = {b"%d" % code: code for code in range(200, 600)}
_SHORT = 512


class Answer(NamedTuple):
    """One reply. ``text``: the server's words without the codes, lines joined by ``\\n``, verbatim (surrogates stand
    for bytes that are no UTF-8): to be redacted before it is stored (I8)."""

    code: int
    text: str


class AnswerReader:
    """Collects bytes and gives whole answers."""

    __slots__ = ("_code", "_lines", "_rest", "_size", "spoiled")

    def __init__(self) -> None:
        self._rest = b""
        self._lines: list[bytes] = []
        self._code = b""
        self._size = 0
        self.spoiled = False

    @property
    def is_between(self) -> bool:
        """Nothing of a further answer has come yet."""
        return not self._rest and not self._lines

    def feed(self, data: bytes) -> list[Answer]:
        """The answers that ``data`` completes, in order."""
        answers: list[Answer] = []
        if self.spoiled:
            return answers
        if self._rest:
            data = self._rest + data
        start = 0
        while (end := data.find(b"\n", start)) >= 0:
            line = data[start:end]
            start = end + 1
            # Most answers are one short line: what _line would make of it, without its questions.
            code = _CODES.get(line[:3]) if line[3:4] == b" " and len(line) <= _SHORT and not self._lines else None
            if code is None:
                answer = self._line(line)
            else:
                answer = Answer(code, line[4:].rstrip(b" \t\r").lstrip(b" \t").decode("utf-8", "surrogateescape"))
            if answer is not None:
                answers.append(answer)
                if answer.code == NOT_SMTP:
                    return answers
        self._rest = data[start:]
        if len(self._rest) > LONGEST_LINE:
            answers.append(self._spoil(self._rest))
        return answers

    def _line(self, raw: bytes) -> Answer | None:
        line = raw.rstrip(b" \t\r")
        found = _LINE.fullmatch(line)
        if found is None or len(raw) > LONGEST_LINE:
            return self._spoil(raw)
        code, mark, text = found.groups(b"")
        if self._lines:
            self._size += len(raw)
            if code != self._code or len(self._lines) >= MOST_LINES or self._size > LONGEST_ANSWER:
                return self._spoil(raw)
        if mark == b"-":
            self._code = code
            self._lines.append(text.strip(b" \t"))
            return None
        whole = text.strip(b" \t")
        if self._lines:
            whole = b"\n".join([*self._lines, whole])
            self._lines, self._size = [], 0
        return Answer(int(code), whole.decode("utf-8", "surrogateescape"))

    def _spoil(self, said: bytes) -> Answer:
        self.spoiled = True
        self._rest, self._lines = b"", []
        return Answer(NOT_SMTP, said[:LONGEST_LINE].rstrip(b"\r\n").decode("utf-8", "surrogateescape"))
