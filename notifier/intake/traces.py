"""Traces: what a rejected row still says of its person, and finding the later row that says it again, in full.

A trace is made only of what could not belong to somebody else: a number (NIR, contract or member number) *and* the
forename, with what else is left of name and birth date, the sender, and the exposures. Never a name and a birth date
alone, never without a forename (twins share all the rest). It leaves out the cell at fault, and is compared as a whole:
a row that was corrected in two places is another row, and its rejection stays open until somebody disposes of it.

An accepted row answers a trace when it stands further down in the file, or in a later file of the same incident. Rows
of two different persons that answer one trace answer nothing (I2). Nothing of this is paid for while no trace is open;
while some are, two keyed tags lead past nearly every row (see `Traces.answer`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import polars as pl

from notifier.intake.normal_forms import packed
from notifier.model import Rejection
from notifier.vault import Vault

FIELDS = ("nir", "contract_n", "member_n", "birth", "forename_n", "name_n")
_BITS = {name: 1 << bit for bit, name in enumerate(FIELDS)}
IDENTITY = 1 << 7  # form of a professional's trace: the identity itself
TAG_BYTES = 4
_NO_TAG = bytes(TAG_BYTES)
_TRACED = ("line", "sender", *FIELDS, "exposures")


def of_insured(row: Mapping[str, str], nir_body: str, fault: str, vault: Vault) -> bytes | None:
    """The strongest trace of an insured person's rejected row, None when too little is left. ``row``: FIELDS,
    ``sender`` and ``exposures`` in normal form, "" = not usable; ``nir_body``: the 13 characters of a NIR whose key is
    wrong; ``fault``: the column of FIELDS that the rejection is about."""
    left = {name: row[name] for name in FIELDS if row[name] and name != fault}
    if "forename_n" not in left:
        return None
    number = next((name for name in ("nir", "contract_n", "member_n") if name in left), "")
    if number == "nir":
        chosen = ["nir"]
    elif number and not left.keys().isdisjoint(("birth", "name_n")):
        chosen = [number]
    elif nir_body and {"birth", "name_n"} <= left.keys():
        # The key was mistyped: the rest has to be all there, and the number has to come back the same.
        left["nir"], chosen = nir_body, ["nir"]
    else:
        return None
    chosen += [name for name in ("birth", "forename_n", "name_n") if name in left]
    form = sum(_BITS[name] for name in chosen)
    names = _tag(vault, "trace-names", left["forename_n"], left["name_n"]) if "name_n" in left else _NO_TAG
    tags = _tag(vault, "trace-forename", left["forename_n"]) + names
    return bytes([form]) + tags + _digest(vault, form, row["sender"], row["exposures"], [left[name] for name in chosen])


def of_professional(identity: bytes, exposures: str, vault: Vault) -> bytes:
    """The trace of a professional's row whose identity is whole and that was rejected for something else."""
    return bytes([IDENTITY]) + identity[: 2 * TAG_BYTES] + _digest(vault, IDENTITY, "", exposures, [identity.hex()])


def _tag(vault: Vault, kind: str, *parts: str) -> bytes:
    return vault.digest(kind, *parts)[:TAG_BYTES]


def _digests(frame: pl.DataFrame, key: pl.Expr, vault: Vault) -> list[bytes | None]:
    return vault.digests(frame.select(key.cast(pl.Binary)).to_series().to_list())


def _digest(vault: Vault, form: int, sender: str, exposures: str, values: Sequence[str]) -> bytes:
    return vault.digest("trace", str(form), sender, exposures, *values)


class Traces:
    """The open traces that the rows of one file may answer, and the answers. ``traces``: of earlier files."""

    def __init__(self, traces: Iterable[bytes] = ()) -> None:
        self._after: dict[bytes, int] = {}  # trace → line after which an answer counts; 0: any
        self._forms: set[int] = set()
        self._forenames: set[bytes] = set()
        self._names: set[bytes] = set()
        self._identities: set[bytes] = set()
        self._answers: dict[bytes, tuple[int, bytes | None]] = {}  # trace → last line, whose (None: of several)
        for trace in traces:
            self._open(trace, 0)

    def open(self, rejections: Iterable[Rejection]) -> None:
        """Wait for answers to these, too: rows of the file being read."""
        for rejection in rejections:
            if rejection.trace is not None:
                self._open(rejection.trace, rejection.line)

    def _open(self, trace: bytes, line: int) -> None:
        self._after[trace] = min(line, self._after.get(trace, line))
        form, first, second = trace[0], trace[1 : 1 + TAG_BYTES], trace[1 + TAG_BYTES : 1 + 2 * TAG_BYTES]
        if form == IDENTITY:
            self._identities.add(first + second)
            return
        self._forms.add(form)
        self._forenames.add(first)
        self._names.add(second if form & _BITS["name_n"] else first + _NO_TAG)

    def answer(self, frame: pl.DataFrame, identities: Sequence[bytes], vault: Vault) -> None:
        """Note which accepted rows of an insured export answer a trace. ``frame``: columns ``line, sender``, FIELDS,
        ``exposures``; ``identities``: of the same rows.

        A batch has few different forenames: those that no open trace has are set aside first. The rest is looked at by
        forename and name, and only what is left is compared as a whole."""
        if not self._forms:
            return
        forenames = frame.select(pl.col("forename_n").unique())
        tags = _digests(forenames, packed("trace-forename", pl.col("forename_n")), vault)
        tagged = {
            name: tag[:TAG_BYTES] for name, tag in zip(forenames["forename_n"], tags, strict=True) if tag and name
        }
        hits = {name: tag for name, tag in tagged.items() if tag in self._forenames}
        if not hits:
            return
        places = frame["forename_n"].is_in(list(hits)).arg_true()
        part = frame.select(_TRACED)[places]
        pairs = _digests(part, packed("trace-names", pl.col("forename_n"), pl.col("name_n")), vault)
        names = self._names
        nameless = {name for name, tag in hits.items() if tag + _NO_TAG in names}
        chosen = [
            index
            for index, (pair, forename) in enumerate(zip(pairs, part["forename_n"].to_list(), strict=True))
            if (pair is not None and pair[:TAG_BYTES] in names) or forename in nameless
        ]
        if chosen:
            for place, row in zip(places[chosen].to_list(), part[chosen].iter_rows(named=True), strict=True):
                self._compare(row, identities[place], vault)

    def _compare(self, row: Mapping[str, str], identity: bytes, vault: Vault) -> None:
        line = int(row["line"])
        for form in self._forms:
            fields = [name for name in FIELDS if form & _BITS[name]]
            values = [row[name] for name in fields]
            if not all(values):
                continue
            names = _tag(vault, "trace-names", row["forename_n"], row["name_n"]) if form & _BITS["name_n"] else _NO_TAG
            trace = bytes([form]) + _tag(vault, "trace-forename", row["forename_n"]) + names
            self._note(trace + _digest(vault, form, row["sender"], row["exposures"], values), line, identity)

    def answer_identities(
        self, lines: Sequence[int], identities: Sequence[bytes], exposures: Sequence[str], vault: Vault
    ) -> None:
        """Note which accepted professionals answer a trace."""
        if not self._identities:
            return
        for line, identity, exposed in zip(lines, identities, exposures, strict=True):
            if identity[: 2 * TAG_BYTES] in self._identities:
                self._note(of_professional(identity, exposed, vault), line, identity)

    def _note(self, trace: bytes, line: int, identity: bytes) -> None:
        after = self._after.get(trace)
        if after is None or line <= after:
            return
        known = self._answers.get(trace)
        same = known is None or known[1] == identity
        self._answers[trace] = (max(line, known[0]) if known else line, identity if same else None)

    def answers(self) -> list[tuple[bytes, int]]:
        """(trace, the last line that answers it), without those that rows of several persons answer."""
        return [(trace, line) for trace, (line, identity) in self._answers.items() if identity is not None]
