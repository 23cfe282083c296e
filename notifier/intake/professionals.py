"""Rows of a professionals' export become records, each with the contact that the same row gives.

A professional is reached where the operator's own file says (DOMAIN 0: name, e-mail, address stand in it). A number
with a wrong key is no identity, and a warning; of a RIB nothing leaves this module but that there was one (I8).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from notifier.intake import identifiers
from notifier.intake.mailboxes import Rules, mailbox, provider
from notifier.intake.normal_forms import normal_names
from notifier.intake.records import (
    COLUMNS,
    PERSON,
    Batch,
    FileContext,
    Row,
    broken,
    in_order,
    reject,
    unfit,
    with_exposures,
    without_numbers,
)
from notifier.intake.rejections import examined_row
from notifier.intake.rows import Rows
from notifier.intake.traces import of_professional
from notifier.model import Contact, PersonKind, Postal, Rejection
from notifier.people.identity import ProfessionalFacts, normal_email, normal_name, professional_identity
from notifier.vault import Vault

CONTACT = "contact"  # vault kind of contacts.sealed
OTHER = "other"

CONTACTS = (
    "line", "sender", "identity", "kind", "link", "status", "language", "as_of", "contract_year", "current",
    "household", "mailbox", "has_postal", "provider", "second_mailbox", "second_provider", "letter", "format",
    "forename_key", "key_member", "key_nir_rank", "key_nir_forename", "key_contract", "key_contract_birth",
    "key_near_nir", "key_near_contract", "sealed",
)  # fmt: skip
"""What a row of ``contacts`` holds beside its import; ``current`` is 0 until the import is absorbed."""


def postal(lines: Sequence[str], postcode: str, city: str) -> Postal | None:
    """An address that a letter can be sent to: at least one line, a postcode and a town."""
    there = tuple(line for line in lines if line)
    return Postal(there, postcode, city) if there and postcode and city else None


def address_code(*parts: str) -> str:
    """Why :func:`postal` makes no address of these parts: ``address_missing``, ``address_incomplete``."""
    return "address_incomplete" if any(parts) else "address_missing"


def professionals(rows: Rows, reading: FileContext, providers: Mapping[str, str]) -> Batch:
    """The professionals of one batch of rows."""
    frame = with_exposures(without_numbers(rows.frame), reading)
    frame = frame.with_columns(company_n=normal_names(frame["company"]))
    roles = ("company", "name", "forename", "address", "postcode", "city")
    own_sender = "insurer" in reading.layout.roles

    def trace(row: Row, _cells: Row, fault: str, vault: Vault) -> bytes | None:
        sender = reading.senders.of([row["insurer"]])[0] if own_sender else reading.sender
        key = professional_identity(
            _facts(row, sender, "" if fault.startswith("company") else row["company_n"], reading.addresses)
        )
        return None if key is None else of_professional(vault.digest(*key), row["exposures"], vault)

    frame, rejections = reject(frame, unfit(roles, ("company_n",)), rows, reading, trace)
    vault, words = reading.vault, reading.profile.words("profession")
    senders = reading.senders.of(frame["insurer"].to_list()) if own_sender else [reading.sender] * frame.height
    kept: list[tuple[object, ...]] = []
    contacts: list[tuple[object, ...]] = []
    without: list[int] = []
    for row, sender in zip(frame.iter_rows(named=True), senders, strict=True):
        siret, finess = identifiers.siret(row["siret"]), identifiers.finess(row["finess"])
        rpps, email = identifiers.rpps(row["rpps"]), mailbox(row["email"], reading.addresses)
        facts = ProfessionalFacts(
            sender, siret.value, finess.value, rpps.value, row["company_n"], normal_email(email.value)
        )
        key = professional_identity(facts)
        if key is None:
            without.append(row["line"])
            continue
        if not sender:
            reading.senders.miss([row["insurer"]])
        identity = vault.digest(*key)
        postcode = identifiers.postcode(row["postcode"], finess.value)
        address = postal((row["address"],), postcode.value, row["city"])
        contact = Contact(row["name"], row["forename"], "", row["company"], email.value, address)
        codes = [siret.code, finess.code, email.code, identifiers.bank_account(row["rib"]).code]
        if row["rpps"]:
            codes.append(rpps.code)
        codes += [identifiers.phone(row["phone"]).code, postcode.code]
        if address is None:
            codes.append(address_code(row["address"], row["postcode"], row["city"]))
        codes.append(rows.warned.get(row["line"], ""))
        profession = words.get(normal_name(row["profession"]), OTHER)
        sealed = vault.seal(PERSON, identity, contact.fields())
        kept.append(
            (row["line"], sender, identity, profession, ",".join(filter(None, codes)), sealed, row["exposures"])
        )
        contacts.append((
            row["line"], sender, identity, PersonKind.PROFESSIONAL.value, "", "active", "fr", "", None, 0, None,
            vault.digest("mailbox", sender, facts.email) if facts.email else None, int(address is not None),
            provider(email.value, providers) if email.value else OTHER, None, OTHER, "", "", *[None] * 8,
            vault.seal(CONTACT, identity, contact.fields()),
        ))  # fmt: skip

    names = ("line", "sender", "identity", "profession", "warnings", "sealed", "exposures")
    columns = {name: [row[index] for row in kept] for index, name in enumerate(names)}
    records = pl.DataFrame(columns, schema={name: COLUMNS[name] for name in names}).select(
        *(
            pl.col(name) if name in names else pl.lit(None, kind).alias(name)
            for name, kind in COLUMNS.items()
            if name != "kind"
        ),
        kind=pl.lit(PersonKind.PROFESSIONAL.value),
    )  # fmt: skip
    rejections = in_order(broken(rows, reading), rejections, _nobody(without, rows, reading))
    reading.traces.open(rejections)
    reading.traces.answer_identities(
        records["line"].to_list(), records["identity"].to_list(), records["exposures"].to_list(), vault
    )
    return Batch(records, contacts, rejections)


def _facts(row: Row, sender: str, company: str, addresses: Rules | None) -> ProfessionalFacts:
    siret, finess = identifiers.siret(row["siret"]), identifiers.finess(row["finess"])
    rpps, email = identifiers.rpps(row["rpps"]), mailbox(row["email"], addresses)
    return ProfessionalFacts(sender, siret.value, finess.value, rpps.value, company, normal_email(email.value))


def _nobody(lines: list[int], rows: Rows, reading: FileContext) -> list[Rejection]:
    """The rejections of rows that leave no identity."""
    if not lines:
        return []
    cells = rows.frame.filter(pl.col("line").is_in(lines)).iter_rows(named=True)
    return [
        examined_row(Rejection(row["line"], "", "identity_none"), row, reading.layout, reading.vault) for row in cells
    ]
