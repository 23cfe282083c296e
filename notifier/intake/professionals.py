"""Rows of a professionals' export become records, each with the contact that the same row gives.

A professional is reached where the operator's own file says (DOMAIN 0: name, e-mail, address stand in it). A number
with a wrong key is no identity, and a warning; of a RIB nothing leaves this module but that there was one (I8).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from notifier.intake import identifiers
from notifier.intake.mailboxes import mailbox, provider
from notifier.intake.normal_forms import normal_names
from notifier.intake.records import (
    KEYS,
    PERSON,
    Batch,
    Column,
    FileContext,
    in_order,
    reject,
    unfit,
    with_exposures,
    without_numbers,
)
from notifier.intake.rows import Rows
from notifier.model import Contact, PersonKind, Postal, Rejection
from notifier.people.identity import ProfessionalFacts, normal_email, normal_name, professional_identity

CONTACT = "contact"  # vault kind of contacts.sealed
OTHER = "other"

CONTACTS = (
    "line", "sender", "identity", "kind", "link", "status", "language", "as_of", "current", "household", "mailbox",
    "has_postal", "provider", "forename_key", "key_member", "key_nir_rank", "key_nir_forename", "key_contract",
    "sealed",
)  # fmt: skip
"""What a row of ``contacts`` holds beside its import; ``current`` is 0 until the import is absorbed."""


def postal(lines: Sequence[str], postcode: str, city: str) -> Postal | None:
    """An address that a letter can be sent to: at least one line, a postcode and a town."""
    there = tuple(line for line in lines if line)
    return Postal(there, postcode, city) if there and postcode and city else None


def professionals(rows: Rows, reading: FileContext, providers: Mapping[str, str]) -> Batch:
    """The professionals of one batch of rows."""
    frame = with_exposures(without_numbers(rows.frame), reading)
    frame = frame.with_columns(company_n=normal_names(frame["company"]))
    roles = ("company", "name", "forename", "address", "postcode", "city")
    frame, rejections = reject(frame, unfit(roles, ("company_n",)), reading.layout)
    vault, words = reading.vault, reading.profile.words("profession")
    own_sender = "insurer" in reading.layout.roles
    senders = reading.senders.of(frame["insurer"].to_list()) if own_sender else [reading.sender] * frame.height
    kept: list[tuple[object, ...]] = []
    contacts: list[tuple[object, ...]] = []
    exposures: list[str] = []
    without: list[int] = []
    for row, sender in zip(frame.iter_rows(named=True), senders, strict=True):
        siret, finess = identifiers.siret(row["siret"]), identifiers.finess(row["finess"])
        rpps, email = identifiers.rpps(row["rpps"]), mailbox(row["email"])
        facts = ProfessionalFacts(
            sender, siret.value, finess.value, rpps.value, row["company_n"], normal_email(email.value)
        )
        key = professional_identity(facts)
        if key is None:
            without.append(row["line"])
            continue
        identity = vault.digest(*key)
        address = postal((row["address"],), row["postcode"], row["city"])
        contact = Contact(row["name"], row["forename"], "", row["company"], email.value, address)
        codes = [siret.code, finess.code, email.code, identifiers.bank_account(row["rib"]).code]
        if row["rpps"]:
            codes.append(rpps.code)
        codes.append(rows.warned.get(row["line"], ""))
        profession = words.get(normal_name(row["profession"]), OTHER)
        sealed = vault.seal(PERSON, identity, contact.fields())
        exposures.append(row["exposures"])
        kept.append((row["line"], sender, identity, profession, ",".join(filter(None, codes)), sealed))
        contacts.append((
            row["line"], sender, identity, PersonKind.PROFESSIONAL.value, "", "active", "fr", "", 0, None,
            vault.digest("mailbox", sender, facts.email) if facts.email else None, int(address is not None),
            provider(email.value, providers) if email.value else OTHER, None, None, None, None, None,
            vault.seal(CONTACT, identity, contact.fields()),
        ))  # fmt: skip

    names = ("line", "sender", "identity", "profession", "warnings", "sealed")
    columns: dict[str, Column] = {name: [row[index] for row in kept] for index, name in enumerate(names)}
    columns |= dict.fromkeys(KEYS) | {"kind": PersonKind.PROFESSIONAL.value}
    nobody = [Rejection(line, "", "identity_none") for line in without]
    return Batch(columns, exposures, contacts, in_order(rows.broken, rejections, nobody))
