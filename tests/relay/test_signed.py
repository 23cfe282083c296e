"""Signed mail through the real sender: what arrives verifies, and its hash is the journal's."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import dkim
import pytest

from notifier.delivery.specimens import Specimen, send_specimens
from notifier.dkim import load_signers
from notifier.errors import SettingsError
from notifier.model import Contact, PersonalFields
from tests.delivery.keys import with_keys
from tests.delivery.rows import TinyNotice, tuned
from tests.relay.server import Act, serving

ADDRESS = "marie.lenoir@courrier-prive.example"


@pytest.fixture
def settings(settings, tmp_path):
    return with_keys(settings, tmp_path, dkim_key="rsa")


def test_what_arrives_is_signed_and_hashed_as_it_went_out(rows, server, sending, vault, settings, folder):
    (one,) = rows.deliver(ADDRESS)
    sending(server)
    (taken,) = server.taken
    key = load_signers(settings, folder)["clairval"].keys[0]
    assert dkim.verify(taken.data, dnsfunc=lambda name, timeout=5: key.record.encode())
    assert taken.data.startswith(b"DKIM-Signature: ")
    token = rows.one("SELECT token FROM deliveries WHERE id = ?", one)
    hashed = rows.one("SELECT notice_sha256 FROM attempts WHERE delivery_id = ?", one)
    assert hashed == vault.blinded_sha256("notice", token, 1, taken.data)


def test_i3_a_retry_keeps_its_message_id_and_return_path(rows, server, sending):
    (one,) = rows.deliver(ADDRESS)
    server.on(ADDRESS, Act("final", "451 4.3.0 later"))
    sending(server)
    assert rows.state(one) == "deferred"
    rows.run("UPDATE deliveries SET due_ms = 0")
    sending(server)
    (taken,) = server.taken
    token = rows.one("SELECT token FROM deliveries WHERE id = ?", one).hex()
    assert f"Message-ID: <{token}@mutuelle-clairval.example>\r\n".encode() in taken.data
    paths = {command.split(">")[0] for command in server.commands if command.startswith("MAIL")}
    assert len(paths) == 1, "both attempts"


@pytest.mark.parametrize("arguments", [{}, {"dry_run": True}])
def test_a_wrong_key_stops_send_before_anything_is_begun(rows, server, sending, tmp_path, arguments):
    (one,) = rows.deliver(ADDRESS)
    (tmp_path / "dkim_key.pem").write_text("no key")
    with pytest.raises(SettingsError, match=r"\[\[senders\]\] clairval: dkim_key: .* is no private key"):
        sending(server, **arguments)
    assert rows.state(one) == "queued"
    assert server.taken == [] and server.sessions == 0
    assert rows.one("SELECT COUNT(*) FROM attempts") == 0


def test_a_test_is_signed_as_the_real_ones_are(server, opened, vault, settings, folder):
    async def whole() -> None:
        async with opened() as database, serving(server):
            chosen = tuned(settings, port=server.port)
            person = PersonalFields(Contact("Exemple", "Camille"), "0000-EXEM-P1E0")
            one = Specimen(1, chosen.senders[0], TinyNotice(), person)
            arguments = {"to": ADDRESS, "wave": "initial", "by": "dpo", "clock": lambda: datetime.now(UTC)}
            assert (await send_specimens(database, vault, chosen, folder, [one], **arguments)).exit_code == 0

    asyncio.run(whole())
    (taken,) = server.taken
    key = load_signers(settings, folder)["clairval"].keys[0]
    assert dkim.verify(taken.data, dnsfunc=lambda name, timeout=5: key.record.encode())
