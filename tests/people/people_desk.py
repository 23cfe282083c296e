"""A desk that takes in exports and directories by writing the rows that intake writes (same columns, same keys), and
looks at what became of them. Everybody is invented."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import polars as pl
from sqlalchemy import text

from notifier.campaign import Settings
from notifier.model import Contact, Exposure, Postal, WaveKind
from notifier.people.arrivals import Arrivals, absorb_directory, absorb_export
from notifier.people.identity import (
    InsuredFacts,
    ProfessionalFacts,
    birth_name_key,
    forename_key,
    group_key,
    insured_identity,
    member_near_keys,
    near_key,
    normal_email,
    normal_name,
    professional_identity,
    rungs,
)
from notifier.people.reviews import decide
from notifier.people.waves import Plan, plan
from notifier.storage import persons, staging
from notifier.storage.database import Database, insert_many
from notifier.storage.exposures import ExposureSets
from notifier.vault import Vault, ranked_key

NOW = datetime(2024, 2, 9, 8, 0, tzinfo=UTC)
ADDRESS = Postal(("1 rue des Lilas",), "00000", "Clairval")
NIR = "1840512345678"


@dataclass(frozen=True)
class Insured:
    """A row of an operator's export."""

    nir: str = NIR
    birth: str = "1984-05-12"
    forename: str = "Alice"
    name: str = "Exemple"
    rank: int | None = 1
    contract: str = ""
    member_number: str = ""
    sender: str = "clairval"
    exposures: tuple[str, ...] = ("viamedis:nir",)

    def facts(self) -> InsuredFacts:
        return InsuredFacts(
            sender=self.sender,
            nir=self.nir,
            birth_date=self.birth,
            forename=normal_name(self.forename),
            name=normal_name(self.name),
            rank=self.rank,
            contract=self.contract,
            member_number=self.member_number,
        )


@dataclass(frozen=True)
class Member(Insured):
    """A row of a sender's directory."""

    contract: str = "K1"
    member_number: str = "M1"
    link: str = "A"
    status: str = "active"
    email: str = ""
    second_email: str = ""
    postal: Postal | None = None
    language: str = "fr"
    birth_name: str = ""


@dataclass(frozen=True)
class Practice:
    """A row about a professional."""

    company: str = "Pharmacie Exemple"
    siret: str = ""
    finess: str = "990000001"
    email: str = ""
    postal: Postal | None = None
    profession: str = "pharmacist"
    sender: str = "clairval"
    exposures: tuple[str, ...] = ("viamedis:rib",)

    def identity_key(self) -> tuple[str, ...]:
        key = professional_identity(
            ProfessionalFacts(
                sender=self.sender,
                siret=self.siret,
                finess=self.finess,
                company=normal_name(self.company),
                email=normal_email(self.email),
            )
        )
        assert key is not None
        return key


def both(row: Insured, **changes: Any) -> Member:
    """The directory's row about the person of an export's row."""
    member = Member(row.nir, row.birth, row.forename, row.name, row.rank, sender=row.sender)
    return replace(member, **changes)


_STAGED = {
    name: pl.Binary if name in ("identity", "sealed") or "key" in name
    else pl.Int64 if name in ("line", "birth_rank", "exposure_set_id") else pl.String
    for name in staging.ROW
}  # fmt: skip
_KEYS = ("group_key", "forename_key", "key_member", "key_nir_rank", "key_nir_forename", "key_contract", "key_near")


class Desk:
    """Rows in, state out."""

    def __init__(self, database: Database, vault: Vault, settings: Settings) -> None:
        self.database = database
        self.vault = vault
        self.settings = settings

    def _digest(self, key: tuple[str, ...] | None) -> bytes | None:
        return self.vault.digest(*key) if key is not None else None

    def keys(self, facts: InsuredFacts) -> dict[str, bytes | None]:
        ladder = rungs(facts)
        group = self._digest(group_key(facts))
        ranked = ranked_key(group, facts.rank) if group is not None and ladder.nir_rank is not None else None
        digests = (
            group,
            self._digest(forename_key(facts)),
            self._digest(ladder.member),
            ranked,
            self._digest(ladder.nir_forename),
            self._digest(ladder.contract),
            self._digest(near_key(facts)),
        )
        return dict(zip(_KEYS, digests, strict=True))

    async def _begin(self, connection: Any, kind: str, as_of: str = "") -> int:
        made = await connection.execute(
            text(
                "INSERT INTO imports (kind, state, sha256, profile, settings_digest, incident, name, size_bytes, "
                "encoding, as_of, rows_read, records, rejections, persons_new, persons_known) "
                "SELECT :kind, 'complete', hex(randomblob(32)), 'test', '', '', 'test.csv', 0, "
                "'', :as_of, 0, 0, 0, 0, 0 "
                "RETURNING id"
            ),
            {"kind": kind, "as_of": as_of},
        )
        return int(made.scalar_one())

    async def export(self, *rows: Insured | Practice) -> Arrivals:
        async with self.database.write() as connection:
            number = await self._begin(connection, "export")
            sets = await ExposureSets.load(connection)
            staged = []
            for line, row in enumerate(rows, start=2):
                exposed = await sets.intern(Exposure(*one.split(":")) for one in row.exposures)
                if isinstance(row, Practice):
                    staged.append(await self._stage_practice(connection, number, line, row, exposed))
                else:
                    staged.append(self._stage_insured(line, row, exposed))
            declared, first = await staging.declared(connection), await persons.is_empty(connection)
        waiting = staging.Staging(self.database.path, number, declared)
        waiting.add(pl.DataFrame(staged, schema=_STAGED))
        if first:
            waiting.settle()
        waiting.close()
        async with self.database.absorb() as connection:
            return await absorb_export(connection, self.vault, number)

    def _stage_insured(self, line: int, row: Insured, exposed: int) -> dict[str, Any]:
        facts = row.facts()
        identity = self._digest(insured_identity(facts))
        assert identity is not None, "intake would have rejected this row"
        sealed = self.vault.seal("person", identity, Contact(row.name, row.forename, birth_date=row.birth).fields())
        return {
            "line": line, "kind": "insured", "sender": row.sender, "identity": identity, **self.keys(facts),
            "birth_rank": row.rank, "exposure_set_id": exposed, "profession": "", "warnings": "", "sealed": sealed,
        }  # fmt: skip

    async def _stage_practice(
        self, connection: Any, number: int, line: int, row: Practice, exposed: int
    ) -> dict[str, Any]:
        identity = self.vault.digest(*row.identity_key())
        fields = Contact("", "", company=row.company, email=row.email, postal=row.postal).fields()
        await self._contact(connection, number, line, row, identity, fields, {"kind": "professional"})
        return {
            "line": line, "kind": "professional", "sender": row.sender, "identity": identity,
            "exposure_set_id": exposed, "profession": row.profession, "warnings": "",
            "sealed": self.vault.seal("person", identity, fields),
        }  # fmt: skip

    async def _contact(
        self, connection: Any, number: int, line: int, row: Member | Practice, identity: bytes, fields: dict[str, Any],
        more: dict[str, Any],
    ) -> None:  # fmt: skip
        values = {
            "import_id": number,
            "line": line,
            "sender": row.sender,
            "identity": identity,
            "link": "",
            "status": "active",
            "language": "fr",
            "as_of": "",
            "current": False,
            "mailbox": self.vault.digest("mailbox", row.sender, normal_email(row.email)) if row.email else None,
            "has_postal": row.postal is not None,
            "provider": "other",
            "sealed": self.vault.seal("contact", identity, fields),
            **more,
        }
        await insert_many(connection, "contacts", values, [tuple(values.values())])

    async def directory(self, *members: Member, as_of: str = "2024-01-31") -> None:
        async with self.database.write() as connection:
            number = await self._begin(connection, "directory", as_of)
            for line, row in enumerate(members, start=2):
                facts = row.facts()
                identity = self.vault.digest(
                    "member", row.sender, row.member_number, row.nir, row.birth, normal_name(row.forename)
                )
                fields = Contact(
                    row.name,
                    row.forename,
                    email=row.email,
                    postal=row.postal,
                    birth_date=row.birth,
                    birth_name=row.birth_name,
                    second_email=row.second_email,
                ).fields()
                keys = self.keys(facts)
                del keys["group_key"], keys["key_near"]
                near_nir, near_contract = map(self._digest, member_near_keys(facts))
                keys |= {
                    "key_near_nir": near_nir,
                    "key_near_contract": near_contract,
                    "key_contract_birth": self._digest(birth_name_key(facts, normal_name(row.birth_name))),
                }
                more = {
                    "kind": "member",
                    "link": row.link,
                    "status": row.status,
                    "language": row.language,
                    "as_of": as_of,
                    "second_mailbox": self._digest(("mailbox", row.sender, normal_email(row.second_email)))
                    if row.second_email
                    else None,
                    "household": self.vault.digest("household", row.sender, row.contract or row.member_number),
                    **keys,
                }
                await self._contact(connection, number, line, row, identity, fields, more)
            await absorb_directory(connection, self.vault, number)

    async def plan(self, *, now: datetime = NOW, settings: Settings | None = None) -> Plan:
        return await plan(
            self.database, self.vault, settings or self.settings, wave="initial", kind=WaveKind.INITIAL, now=now
        )

    async def decide(self, case: int, decision: str) -> None:
        await decide(self.database, self.vault, case, decision, by="dpo", now=NOW)

    async def approve(self) -> int:
        """What an approval does to rows: everything that is planned gets the next batch."""
        async with self.database.write() as connection:
            made = await connection.execute(
                text(
                    "INSERT INTO batches (wave_id, number, digest, bound, notifications, approved_by, approved_ms) "
                    "SELECT 1, COALESCE(MAX(number), 0) + 1, '', '{}', 0, 'dpo', 0 FROM batches RETURNING id"
                )
            )
            batch = int(made.scalar_one())
            for table in ("notifications", "deliveries"):
                await connection.execute(
                    text(f"UPDATE {table} SET batch_id = :batch WHERE batch_id IS NULL"), {"batch": batch}
                )
        return batch

    async def run(self, sql: str, **values: Any) -> None:
        async with self.database.write() as connection:
            await connection.execute(text(sql), values)

    async def rows(self, sql: str, **values: Any) -> list[Any]:
        async with self.database.read() as connection:
            return list((await connection.execute(text(sql), values)).all())

    async def notices(self) -> list[dict[str, Any]]:
        """Every notification with its person's forename (or company), its route and its reader, by name."""
        rows = await self.rows(
            "SELECT p.identity, p.sealed, n.route, n.route_reason AS reason, n.review, n.excluded, n.delivery_id, "
            "n.batch_id, s.audience, s.form, s.language, e.canonical AS exposures, d.state, d.channel, d.token, "
            "c.identity AS reader_identity, c.sealed AS reader_sealed, c.sender AS reader_sender, p.sender, p.rung "
            "FROM notifications n JOIN persons p ON p.id = n.person_id JOIN segments s ON s.id = n.segment_id "
            "JOIN exposure_sets e ON e.id = s.exposure_set_id LEFT JOIN deliveries d ON d.id = n.delivery_id "
            "LEFT JOIN contacts c ON c.id = d.contact_id"
        )
        found = []
        for row in rows:
            notice = dict(row._mapping)
            person = self.vault.unseal("person", notice["identity"], notice.pop("sealed"))
            sealed = notice.pop("reader_sealed")
            reader = self.vault.unseal("contact", notice["reader_identity"], sealed) if sealed else {}
            notice["name"] = person.get("forename") or person.get("company") or ""
            notice["reader"] = reader.get("forename") or reader.get("company") or ""
            notice["email"] = reader.get("email", "")
            found.append(notice)
        return sorted(found, key=lambda notice: (notice["name"], notice["identity"]))

    async def dump(self) -> dict[str, list[tuple[Any, ...]]]:
        """All rows of the tables that a plan may write, but the journal."""
        tables = ("persons", "reviews", "waves", "segments", "notifications", "deliveries", "exposure_sets")
        return {
            table: [tuple(row) for row in await self.rows(f"SELECT * FROM {table} ORDER BY id")] for table in tables
        }

    async def open_cases(self) -> list[Any]:
        return await self.rows("SELECT * FROM reviews WHERE state = 'open' ORDER BY id")


def names(notices: Iterable[dict[str, Any]]) -> list[str]:
    return [notice["name"] for notice in notices]
