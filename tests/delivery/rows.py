"""Small factories: the rows that planning and approval would have written, and a tiny renderer."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from pathlib import Path

from notifier.campaign import Settings
from notifier.model import Contact, PersonalFields, Postal
from notifier.notices.encoding import mailbox_address
from notifier.vault import Vault

POSTAL = Postal(("3 rue des Saules",), "00000", "Clairval")


class TinyNotice:
    """A renderer: a complete, personalised message."""

    fixed = ()

    def render(self, fields: PersonalFields, *, to: str, message_id: str, date: datetime) -> bytes:
        address = mailbox_address(to, utf8=True)
        message = EmailMessage(policy=SMTP if address.isascii() else SMTPUTF8)
        message["From"] = "Mutuelle Clairval <information@mutuelle-clairval.example>"
        message["To"] = address
        message["Subject"] = "Vos données"
        message["Message-ID"] = message_id
        message["Date"] = date
        names = ", ".join(fields.concerned)
        message.set_content(f"Bonjour {fields.contact.full_name},\n\n{names}\n.\nDossier {fields.reference}\n")
        return message.as_bytes()

    def parts(self, fields: PersonalFields, *, to: str, message_id: str, date: datetime) -> list[bytes]:
        return [self.render(fields, to=to, message_id=message_id, date=date)]


async def tiny_notice(batch_id: int, segment_id: int) -> TinyNotice:
    return TinyNotice()


@dataclass(frozen=True)
class Rows:
    """Writes rows, and reads them back, past the package."""

    path: Path
    vault: Vault

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(self.path)
        try:
            with connection:
                yield connection
        finally:
            connection.close()

    def all(self, sql: str, *values: object) -> list[tuple]:
        with self._open() as connection:
            return connection.execute(sql, values).fetchall()

    def one(self, sql: str, *values: object):
        (row,) = self.all(sql, *values)
        return row[0] if len(row) == 1 else row

    def run(self, sql: str, *values: object) -> None:
        with self._open() as connection:
            connection.execute(sql, values)

    def ground(self, connection: sqlite3.Connection, wave: str, segments: int, form: str) -> tuple[int, int, list[int]]:
        """Import, exposure set, wave, batch and segments, each once; wave, batch and segment ids."""
        connection.execute(
            "INSERT OR IGNORE INTO imports (id, kind, state, sha256, profile, settings_digest, incident, name, "
            "size_bytes, encoding, as_of, rows_read, records, rejections, persons_new, persons_known) VALUES "
            "(1, 'directory', 'complete', 'aa', 'directory', '', '', 'd.csv', 1, 'utf-8', '', 0, 0, 0, 0, 0)"
        )
        connection.execute("INSERT OR IGNORE INTO exposure_sets (id, canonical) VALUES (1, 'viamedis:nir')")
        connection.execute("INSERT OR IGNORE INTO waves (name, kind, created_ms) VALUES (?, 'initial', 0)", (wave,))
        (wave_id,) = connection.execute("SELECT id FROM waves WHERE name = ?", (wave,)).fetchone()
        connection.execute(
            "INSERT OR IGNORE INTO batches (wave_id, number, digest, bound, notifications, approved_by, approved_ms) "
            "VALUES (?, 1, 'd', '{}', 0, 'dpo', 0)",
            (wave_id,),
        )
        (batch_id,) = connection.execute("SELECT id FROM batches WHERE wave_id = ?", (wave_id,)).fetchone()
        found = []
        for number in range(segments):
            language = "fr" if number == 0 else f"x{number}"
            key = (wave_id, "clairval", "insured", "", form, 1, language)
            connection.execute(
                "INSERT OR IGNORE INTO segments (wave_id, sender, audience, profession, form, exposure_set_id, "
                "language) VALUES (?, ?, ?, ?, ?, ?, ?)",
                key,
            )
            (segment_id,) = connection.execute(
                "SELECT id FROM segments WHERE wave_id = ? AND form = ? AND language = ?", (wave_id, form, language)
            ).fetchone()
            found.append(segment_id)
        return wave_id, batch_id, found

    def deliver(
        self,
        *addresses: str,
        name: str = "Vasseur",
        forename: str = "Élodie",
        postal: bool = True,
        second: str = "",
        approved: bool = True,
        wave: str = "initial",
        segment: int = 0,
        form: str = "own",
        children: tuple[str, ...] = (),
        state: str = "queued",
        due_ms: int = 0,
        provider: str = "other",
    ) -> list[int]:
        """A contact, the persons it informs, their notifications and an approved delivery for each address."""
        ids = []
        with self._open() as connection:
            wave_id, batch_id, segments = self.ground(connection, wave, segment + 1, form)
            (line,) = connection.execute("SELECT COUNT(*) FROM contacts").fetchone()
            for address in addresses:
                line += 1
                identity = self.vault.digest("member", str(line))
                contact = Contact(name, forename, email=address, postal=POSTAL if postal else None, second_email=second)
                contact_id = connection.execute(
                    "INSERT INTO contacts (import_id, line, sender, identity, kind, link, status, language, as_of, "
                    "current, has_postal, provider, second_mailbox, second_provider, sealed) VALUES "
                    "(1, ?, 'clairval', ?, 'member', 'A', 'active', 'fr', '', 1, ?, 'other', ?, 'orange', ?)",
                    (
                        line,
                        identity,
                        postal,
                        second.encode() or None,
                        self.vault.seal("contact", identity, contact.fields()),
                    ),
                ).lastrowid
                token = self.vault.token("delivery", wave, "mail", form, str(line))
                delivery_id = connection.execute(
                    "INSERT INTO deliveries (token, wave_id, segment_id, contact_id, channel, state, batch_id, "
                    "attempt, retries, doubts, epoch, provider, due_ms, since_ms) VALUES "
                    "(?, ?, ?, ?, 'mail', ?, ?, 0, 0, 0, 0, ?, ?, 0)",
                    (
                        token,
                        wave_id,
                        segments[segment],
                        contact_id,
                        state,
                        batch_id if approved else None,
                        provider,
                        due_ms,
                    ),
                ).lastrowid
                for number, known_as in enumerate(children or (forename,)):
                    person = self.vault.digest("person", str(line), str(number))
                    person_id = connection.execute(
                        "INSERT INTO persons (sender, identity, kind, profession, exposure_set_id, sealed, contact_id, "
                        "rung, identity_review, excluded, excluded_reason, excluded_by) VALUES "
                        "('clairval', ?, 'insured', '', 1, ?, ?, 'member', '', '', '', '')",
                        (person, self.vault.seal("person", person, Contact(name, known_as).fields()), contact_id),
                    ).lastrowid
                    connection.execute(
                        "INSERT INTO notifications (wave_id, person_id, segment_id, route, route_reason, review, "
                        "excluded, batch_id, delivery_id) VALUES (?, ?, ?, 'email', '', '', '', ?, ?)",
                        (wave_id, person_id, segments[segment], batch_id if approved else None, delivery_id),
                    )
                ids.append(delivery_id)
        return ids

    # -- what the tests look at ---------------------------------------------------------------------------------

    def state(self, delivery_id: int) -> str:
        return self.one("SELECT state FROM deliveries WHERE id = ?", delivery_id)

    def states(self) -> dict[str, int]:
        return dict(self.all("SELECT state, COUNT(*) FROM deliveries GROUP BY state"))

    def entries(self, kind: str | None = None) -> list[dict]:
        """The journal's, without the one that it begins with."""
        import json

        rows = self.all("SELECT kind, body FROM entries WHERE kind <> 'campaign_created' ORDER BY id")
        return [json.loads(body) for found, body in rows if kind in (None, found)]

    def snapshot(self) -> list[tuple]:
        """Everything that sending can change."""
        return [
            row
            for table in ("deliveries", "attempts", "entries", "notifications", "campaign", "pace", "lanes", "begun")
            for row in self.all(f"SELECT * FROM {table}")
        ]


def tuned(settings: Settings, **relay: object) -> Settings:
    """The settings with other values in [relay] (or, as ``section__key``, elsewhere)."""
    changed: dict[str, dict[str, object]] = {"relay": {}}
    for key, value in relay.items():
        section, _, name = key.rpartition("__")
        changed.setdefault(section or "relay", {})[name] = value
    sections = {}
    for section, update in changed.items():
        before = getattr(settings, section)
        sections[section] = type(before).model_validate({**before.model_dump(), **update})
    return settings.model_copy(update=sections)
