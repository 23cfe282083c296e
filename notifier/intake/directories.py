"""Directories: the sender's own members, current and past, become contacts.

A member that must not be reached by e-mail (opposition, protective measure) has no mailbox here, so that nothing later
can send to one. Identity and keys are those of ``people.identity``; contacts are current only once the import is
absorbed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from functools import partial
from pathlib import Path

import polars as pl

from notifier.campaign import Settings
from notifier.intake import identifiers
from notifier.intake.archives import Wrapping
from notifier.intake.custody import NOTHING_SAID, Custody
from notifier.intake.dates import remembered
from notifier.intake.holds import HeldFile
from notifier.intake.mailboxes import OTHER, is_agency, mailbox, provider, providers
from notifier.intake.near_keys import member_columns
from notifier.intake.professionals import CONTACT, address_code, postal
from notifier.intake.records import (
    Batch,
    FileContext,
    broken,
    has,
    in_order,
    key_columns,
    read_person,
    reject,
    unfit,
    warnings,
    without_numbers,
)
from notifier.intake.rows import Rows
from notifier.intake.space import FreeBytes, free_bytes
from notifier.intake.staging import WHOLE, AlreadyImported, StagedImport, stage
from notifier.model import Contact
from notifier.people.identity import normal_email, normal_name
from notifier.storage.database import Database
from notifier.vault import Vault

PROTECTION, OPPOSITION, AGENCY = "protection", "opposition", "agency_mailbox"  # contacts.letter

_KEYS = (
    "key_member", "key_nir_rank", "key_nir_forename", "key_contract", "key_contract_birth", "key_near_nir",
    "key_near_contract",
)  # fmt: skip
_PRINTED = ("name", "forename", "birth_name", "guardian", "address1", "address2", "postcode", "city")
_YEAR = re.compile(r"((?:19|20)[0-9]{2})(?:[.,]0)?")
_LATEST = date(2099, 12, 31)  # a contract may begin next January
_LANGUAGE = re.compile(r"([A-Za-z]{2})(?:[-_][A-Za-z]{2})?")


async def stage_directory(
    database: Database,
    vault: Vault,
    settings: Settings,
    folder: Path,
    path: Path,
    profile_name: str,
    *,
    as_of: date | None,
    now: datetime,
    custody: Custody = NOTHING_SAID,
    accepted_by: str = "",
    free: FreeBytes = free_bytes,
    wrapping: Wrapping | None = None,
    is_whole: bool = False,
) -> StagedImport | AlreadyImported | HeldFile:
    """Read a directory: rows go to ``contacts``, not current yet. ``as_of``: the day it describes; ``is_whole``: it is
    the whole directory of its senders, and who is missing from it has left. Raises like ``exports.stage_export``."""
    table = providers(folder)
    return await stage(
        database, vault, settings, folder, path,
        kind="directory", profile_name=profile_name, incident=None, as_of=as_of, now=now,
        make=lambda _: partial(members, providers=table, as_of=as_of.isoformat() if as_of else ""),
        custody=custody, accepted_by=accepted_by, free=free, wrapping=wrapping, replaces=WHOLE if is_whole else "",
    )  # fmt: skip


def members(rows: Rows, reading: FileContext, providers: Mapping[str, str], as_of: str) -> Batch:
    """The members of one batch of rows."""
    name = pl.when(has("name")).then(pl.col("name")).otherwise(pl.col("birth_name"))
    frame = read_person(without_numbers(rows.frame).with_columns(name.alias("name")), reading)
    statuses = reading.profile.words("status")
    status = [statuses.get(normal_name(cell)) for cell in frame["status"]]
    frame = frame.with_columns(pl.Series("status", status, dtype=pl.String))
    frame, rejections = reject(frame, _verdict(), rows, reading)
    reading.senders.miss(frame.filter(pl.col("sender") == "")["insurer"])
    keys = key_columns(frame, reading.vault) | member_columns(frame, reading.vault)
    read = _Member(reading, providers, as_of)
    columns = [keys[column] for column in ("forename_key", *_KEYS)]
    warned = rows.noted(frame.with_columns(warnings(*read.coded).alias("warnings")))["warnings"].to_list()
    contacts: list[tuple[object, ...]] = []
    codes: list[str] = []
    for row, before, digests in zip(frame.iter_rows(named=True), warned, zip(*columns, strict=True), strict=True):
        contact, found = read.contact(row, digests)
        contacts.append(contact)
        codes.append(",".join(filter(None, (before, *found))))
    return Batch(contacts=contacts, rejections=in_order(broken(rows, reading), rejections), warned=codes)


def _verdict() -> list[tuple[pl.Expr, str, str]]:
    keyed = has("birth") & (has("member_n") | has("nir") | has("contract_n"))
    return [
        *unfit(_PRINTED, ("name_n", "forename_n", "contract_n", "member_n")),
        (~keyed & ~has("name"), "", "member_none"),
        (pl.col("status").is_null(), "status", "status_unknown"),
    ]


def _language(cell: str) -> tuple[str, str]:
    """Two letters (ISO 639-1), a region after them left out; else "" and a code. What a shifted column puts there is
    never kept: a language stands in clear in tables, segments and proofs (I8)."""
    if not (text := cell.strip()):
        return "", ""
    found = _LANGUAGE.fullmatch(text)
    return (found[1].lower(), "") if found else ("", "language_unreadable")


def _year(cell: str) -> tuple[int | None, str]:
    """In which year somebody joined: of a year, or of a date in any of the forms of dates; else None and a code. Only
    the year is kept."""
    if not (text := cell.strip()):
        return None, ""
    if found := _YEAR.fullmatch(text):
        return int(found[1]), ""
    read = remembered(text, _LATEST)
    return (int(read.value[:4]), "") if read.value else (None, "contract_year_unreadable")


class _Member:
    """Turns a row into a contact. Holds what is the same for all rows of a file."""

    def __init__(self, reading: FileContext, by_domain: Mapping[str, str], as_of: str) -> None:
        words = reading.profile.words
        self._vault, self._providers, self._as_of = reading.vault, by_domain, as_of
        self._links, self._civilities = words("link"), words("civility")
        self._no_opposition, self._no_protection = words("email_opposition"), words("protection")
        self._formats = words("format")
        self._rules = reading.addresses
        roles = set(reading.layout.roles)
        # Of what the layout has no column for, nothing is missed.
        self.coded = [*(["nir_code"] if "nir" in roles else []), "birth_code", "rank_code", "name_code"]
        self._has_email, self._has_address = "email" in roles, {"address1", "postcode", "city"} <= roles

    def contact(self, row: Mapping[str, str], digests: Sequence[bytes | None]) -> tuple[tuple[object, ...], list[str]]:
        """A row of ``contacts`` in the order of CONTACTS, and what of its addresses is not usable."""
        vault, sender = self._vault, row["sender"]
        identity = vault.digest("member", sender, row["member_n"], row["nir"], row["birth"], row["forename_n"])
        email, second, code = self._emails(row)
        postcode = identifiers.postcode(row["postcode"])
        address = postal((row["address1"], row["address2"]), postcode.value, row["city"])
        codes = [code if self._has_email else "", postcode.code]
        if address is None and self._has_address:
            codes.append(address_code(row["address1"], row["address2"], row["postcode"], row["city"]))
        language, code = _language(row["language"])
        codes.append(code)
        year, code = _year(row["contract_year"])
        codes.append(code)
        civility = self._civilities.get(normal_name(row["civility"]), "")
        is_protected = self._letter(row) == PROTECTION
        born = row["birth_name"] if row["birth_name"] != row["name"] else ""
        contact = Contact(
            row["name"],
            row["forename"],
            civility,
            email=email,
            postal=address,
            birth_date=row["birth"],
            birth_name=born,
            second_email=second,
            is_protected=is_protected,
            guardian=row["guardian"] if is_protected else "",
        )
        household = row["contract_n"] or row["member_n"]
        return ((
            row["line"], sender, identity, "member", self._links.get(normal_name(row["link"]), ""), row["status"],
            language or "fr", self._as_of, year, 0,
            vault.digest("household", sender, household) if household else None,
            vault.digest("mailbox", sender, normal_email(email)) if email else None,
            int(address is not None), provider(email, self._providers) if email else OTHER,
            vault.digest("mailbox", sender, normal_email(second)) if second else None,
            provider(second, self._providers) if second else OTHER,
            self._letter(row) or self._agency(row, email),
            self._formats.get(normal_name(row["format"]), OTHER) if row["format"] else "",
            *digests, vault.seal(CONTACT, identity, contact.fields()),
        ), codes)  # fmt: skip

    def _emails(self, row: Mapping[str, str]) -> tuple[str, str, str]:
        """The first usable address and another one behind it, "" where there is none or the member is not to be reached
        by e-mail; and the code of the first address that is there, when it cannot be used and no other stands in for
        it."""
        first = mailbox(row["email"], self._rules)
        second = mailbox(row["email2"], self._rules)
        chosen = first if first.value or not second.value else second
        if self._letter(row):
            return "", "", chosen.code
        is_other = first.value and normal_email(first.value) != normal_email(second.value)
        return chosen.value, second.value if is_other else "", chosen.code

    def _letter(self, row: Mapping[str, str]) -> str:
        """Why the member is told by letter, whatever mailbox is known; "" = by e-mail if there is one."""
        if normal_name(row["protection"]) not in self._no_protection:
            return PROTECTION
        return OPPOSITION if normal_name(row["email_opposition"]) not in self._no_opposition else ""

    def _agency(self, row: Mapping[str, str], email: str) -> str:
        """Whether the only address is one that was typed in for members without any (data/mailboxes.toml)."""
        given = (row["email"], row["email2"])
        return AGENCY if not email and any(is_agency(cell, self._rules) for cell in given) else ""
