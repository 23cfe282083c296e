"""Approval over a real database: one transaction, everything of the wave, and nothing moves afterwards (I7)."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from notifier.campaign import RelayAccess, WaveWords, shipped
from notifier.errors import OperatorError, StorageError
from notifier.model import to_ms
from notifier.notices import approval
from notifier.notices.approval import NoticeShelf, approve, describe, findings, load_batch, verify_bound
from notifier.notices.dossier.requests import request
from notifier.notices.preview import write_preview
from notifier.notices.usage import told_by
from notifier.storage import batches
from notifier.storage.database import insert_many
from notifier.storage.exposures import ExposureSets
from notifier.storage.segments import segment_key, segments_of

AT = datetime(2024, 2, 9, 8, 0, tzinfo=UTC)


async def plant(connection, keys, persons_per_segment=3, *, first=1):
    """A wave as `plan` leaves it: in each segment the first person is mailed, the second has no route, the third is
    held by a review."""
    await connection.execute(
        text(
            "INSERT INTO waves (id, name, kind, created_ms) VALUES (1, 'initial', 'initial', :now) "
            "ON CONFLICT (id) DO NOTHING"
        ),
        {"now": to_ms(AT)},
    )
    await connection.execute(
        text(
            "INSERT INTO imports (id, kind, state, sha256, profile, settings_digest, incident, name, size_bytes, "
            "encoding, as_of, rows_read, records, rejections, persons_new, persons_known) VALUES "
            "(1, 'directory', 'complete', 'x', 'directory', 'x', '', 'x', 1, '', '', 0, 0, 0, 0, 0) "
            "ON CONFLICT (id) DO NOTHING"
        )
    )
    sets = await ExposureSets.load(connection)
    number = first
    for place, key in enumerate(keys, first):
        exposure_set = await sets.intern(key.exposures)
        columns = ("id", "wave_id", "sender", "audience", "profession", "form", "exposure_set_id", "language")
        row = (place, 1, key.sender, key.audience.value, key.profession, key.form.value, exposure_set, key.language)
        await insert_many(connection, "segments", columns, [row])
        for offset in range(persons_per_segment):
            route, review = [("email", ""), ("none", ""), ("email", "ambiguous")][offset % 3]
            identity = hashlib.sha256(b"person%d" % number).digest()[:16]
            contact = delivery = None
            if route == "email" and not review:
                contact = delivery = number
                await connection.execute(
                    text(
                        "INSERT INTO contacts (id, import_id, line, sender, identity, kind, link, status, language, "
                        "as_of, current, has_postal, provider, sealed) VALUES (:id, 1, :id, 'clairval', :identity, "
                        "'member', 'A', 'active', 'fr', '', 1, 0, 'other', x'00')"
                    ),
                    {"id": number, "identity": identity},
                )
                await connection.execute(
                    text(
                        "INSERT INTO deliveries (id, token, wave_id, segment_id, contact_id, channel, state, attempt, "
                        "retries, doubts, epoch, provider, due_ms, since_ms) VALUES (:id, :token, 1, :segment, :id, "
                        "'mail', 'queued', 0, 0, 0, 0, 'other', 0, 0)"
                    ),
                    {"id": number, "token": identity[::-1], "segment": place},
                )
            columns = ("id", "sender", "identity", "kind", "profession", "exposure_set_id", "sealed", "contact_id")
            columns += ("rung", "identity_review", "excluded", "excluded_reason", "excluded_by")
            row = (number, "clairval", identity, "insured", "", exposure_set, b"", contact, "member", "", "", "", "")
            await insert_many(connection, "persons", columns, [row])
            columns = ("id", "wave_id", "person_id", "segment_id", "route", "route_reason", "review", "excluded")
            row = (number, 1, number, place, route, "mailbox" if contact else "", review, "", delivery)
            await insert_many(connection, "notifications", (*columns, "delivery_id"), [row])
            number += 1


@pytest.fixture
def keys(make_key):
    return [make_key("insured"), make_key("dependant", "children"), make_key("professional")]


async def entries(database, kind):
    async with database.read() as connection:
        rows = await connection.execute(
            text("SELECT subject, body FROM entries WHERE kind = :kind ORDER BY id"), {"kind": kind}
        )
        return [(subject, json.loads(body)["facts"]) for subject, body in rows]


def test_i7_approval_freezes_every_notification_of_the_wave_once(opened, vault, settings, folder, keys):
    async def story():
        async with opened() as database:
            async with database.write() as connection:
                await plant(connection, keys)
            made = await approve(database, vault, settings, folder, wave="initial", by="dpo", now=AT)
            assert (made.number, made.notifications) == (1, 9)
            async with database.read() as connection:
                counts = await connection.execute(
                    text(
                        "SELECT (SELECT COUNT(*) FROM notifications WHERE batch_id = :b), "
                        "(SELECT COUNT(*) FROM deliveries WHERE batch_id = :b)"
                    ),
                    {"b": made.batch_id},
                )
                assert tuple(counts.one()) == (9, 3)
                files = await batches.batch_files(connection, made.batch_id)
            assert {"templates/catalogue.toml", "templates/fr/base/own.md", "data/categories.toml"} <= set(files)
            [(subject, told)] = await entries(database, "batch_approved")
            assert (subject, told["by"], told["batch"], told["digest"]) == (made.digest, "dpo", 1, made.digest)
            assert told["files"] == {path: hashlib.sha256(content).hexdigest() for path, (_, content) in files.items()}
            frozen = await entries(database, "notification_frozen")
            assert len(frozen) == len({subject for subject, _ in frozen}) == 9
            assert sorted(facts["route"] for _, facts in frozen) == ["email"] * 3 + ["held"] * 3 + ["none"] * 3
            assert sum(bool(facts["delivery"]) for _, facts in frozen) == 3
            identity = hashlib.sha256(b"person1").digest()[:16]
            assert vault.pseudonym("clairval", identity) in {subject for subject, _ in frozen}

            again = await approve(database, vault, settings, folder, wave="initial", by="dpo", now=AT)
            assert (again.number, again.notifications) == (None, 0)
            assert len(await entries(database, "batch_approved")) == 1

            async with database.write() as connection:  # a later import adds somebody: the next batch
                await plant(connection, [replace(keys[0], profession="x")], 1, first=50)
            later = await approve(database, vault, settings, folder, wave="initial", by="dpo", now=AT)
            assert (later.number, later.notifications) == (2, 1)

    asyncio.run(story())


def test_i7_more_notifications_than_a_chunk_are_all_journaled(opened, vault, settings, folder, keys, monkeypatch):
    monkeypatch.setattr(batches, "CHUNK", 4)

    async def story():
        async with opened() as database:
            async with database.write() as connection:
                await plant(connection, keys)
            await approve(database, vault, settings, folder, wave="initial", by="dpo", now=AT)
            assert len({subject for subject, _ in await entries(database, "notification_frozen")}) == 9

    asyncio.run(story())


def test_i7_editing_texts_and_settings_after_approval_changes_nothing(opened, vault, settings, folder, keys, somebody):
    async def story():
        async with opened() as database:
            async with database.write() as connection:
                await plant(connection, keys)
            made = await approve(database, vault, settings, folder, wave="initial", by="dpo", now=AT)
            arguments = {"to": "a@courriel.example", "message_id": "<a@b.example>", "date": AT}
            before = [(await NoticeShelf(database)(made.batch_id, n)).render(somebody, **arguments) for n in (1, 2, 3)]

            shutil.copytree(shipped("templates"), folder / "templates")
            for path in (folder / "templates" / "fr").rglob("*.md"):
                path.write_text("{{ broken", encoding="utf-8")
            toml = (folder / "campaign.toml").read_text(encoding="utf-8").replace("Mutuelle Clairval", "Autre")
            (folder / "campaign.toml").write_text(toml, encoding="utf-8")
            with pytest.raises(OperatorError):
                write_preview(folder, settings, await _segments(database), folder / "preview", planned=AT)
            shelf = NoticeShelf(database)
            after = [(await shelf(made.batch_id, n)).render(somebody, **arguments) for n in (1, 2, 3)]
            assert before == after
            assert await shelf(made.batch_id, 1) is await shelf(made.batch_id, 1)
            # Twenty connections ask for a new segment at once: it is compiled once.
            fresh = NoticeShelf(database)
            assert len({id(one) for one in await asyncio.gather(*(fresh(made.batch_id, 2) for _ in range(20)))}) == 1

    asyncio.run(story())


async def _segments(database):
    async with database.read() as connection:
        return await segments_of(connection, "initial")


def test_i7_a_bound_value_that_moved_is_named(opened, vault, settings, folder, keys):
    async def story():
        async with opened() as database:
            async with database.write() as connection:
                await plant(connection, keys)
            await approve(database, vault, settings, folder, wave="initial", by="dpo", now=AT)

            async def differing(**update):
                async with database.read() as connection:
                    return await verify_bound(connection, settings.model_copy(update=update), wave="initial")

            assert await differing() == []
            relay = settings.relay
            slower = relay.model_copy(update={"rate": 0.5, "connections": 1, "messages_per_connection": 5})
            assert await differing(relay=slower, retry=settings.retry.model_copy(update={"first_seconds": 1})) == []
            moved = relay.model_copy(update={"port": 26, "host": "localhost"})
            assert await differing(relay=moved) == [
                'relay.host (approved "127.0.0.1", now "localhost")',
                "relay.port (approved 2525, now 26)",
            ]
            second = RelayAccess(host="127.0.0.1", port=2526, tls="none", rate=1)
            told = await differing(relay=relay.model_copy(update={"fallback": second}))
            assert 'relay.fallback.host (new: "127.0.0.1")' in told and "relay.fallback.port (new: 2526)" in told
            sender = settings.senders[0].model_copy(update={"from_address": "x@autre.example"})
            [told] = await differing(senders=(sender,))
            assert told.startswith("senders.clairval.from_address (approved")
            resend = settings.doubt.model_copy(update={"policy": "hold"})
            assert await differing(doubt=resend) == ['doubt.policy (approved "resend", now "hold")']
            first, second = settings.incidents
            [told] = await differing(incidents=(first, second.model_copy(update={"portal": "x"})))
            assert told.startswith("incidents.almerys.portal")
            async with database.write() as connection:  # nothing left to send: nothing to hold to
                await connection.execute(text("UPDATE deliveries SET state = 'accepted'"))
            assert await differing(relay=moved) == []
            # What is left of a batch comes back by a requeue: a run that was begun meanwhile does not send it.
            assert await NoticeShelf(database, settings)(1, 1)
            with pytest.raises(OperatorError, match=r"batch 1 of wave initial .*relay\.port \(approved 2525, now 26\)"):
                await NoticeShelf(database, settings.model_copy(update={"relay": moved}))(1, 1)

    asyncio.run(story())


def test_i7_a_frozen_file_that_was_altered_stops_sending(opened, vault, settings, folder, keys):
    async def story():
        async with opened() as database:
            async with database.write() as connection:
                await plant(connection, keys)
            made = await approve(database, vault, settings, folder, wave="initial", by="dpo", now=AT)
            async with database.write() as connection:
                await connection.execute(
                    text("UPDATE batch_files SET content = x'41' WHERE path = 'templates/fr/base/own.md'")
                )
            with pytest.raises(StorageError, match=r"own\.md of batch 1 of wave initial was altered"):
                await NoticeShelf(database)(made.batch_id, 1)

    asyncio.run(story())


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("UPDATE batches SET bound = replace(bound, '01 99 00 12 34', '08 99 00 12 34')", "settings"),
        ("DELETE FROM batch_files WHERE path = 'templates/fr/base/children.md'", "files"),
        (
            "UPDATE batch_files SET content = x'41', "
            "sha256 = '559aead08264d5795d3909718cdd05abd49572e84fe55590eef31a88a08fdffd' "
            "WHERE path = 'templates/fr/base/own.md'",
            "files",
        ),
    ],
    ids=["a telephone number", "a file less", "a file and its hash"],
)
def test_i7_rows_that_do_not_say_what_the_journal_says_stop_sending(
    opened, vault, settings, folder, keys, change, says
):
    async def story():
        async with opened() as database:
            async with database.write() as connection:
                await plant(connection, keys)
            made = await approve(database, vault, settings, folder, wave="initial", by="dpo", now=AT)
            async with database.read() as connection:
                await load_batch(connection, made.batch_id)
            async with database.write() as connection:
                assert (await connection.execute(text(change))).rowcount == 1
            async with database.read() as connection:
                with pytest.raises(StorageError, match=f"frozen {says} of batch 1 of wave initial were altered"):
                    await load_batch(connection, made.batch_id)

    asyncio.run(story())


def test_i7_errors_block_and_nothing_is_frozen(opened, vault, settings, folder, make_key):
    async def story():
        async with opened() as database:
            async with database.write() as connection:
                await plant(connection, [make_key(), make_key(categories=["voice_print"])])
            with pytest.raises(OperatorError, match=r"nothing was frozen: category .*voice_print"):
                await approve(database, vault, settings, folder, wave="initial", by="dpo", now=AT)
            relay = settings.relay.model_copy(update={"host": "mx.example"})
            with pytest.raises(OperatorError, match="sample-relay"):
                await approve(
                    database,
                    vault,
                    settings.model_copy(update={"relay": relay}),
                    folder,
                    wave="initial",
                    by="x",
                    now=AT,
                )
            async with database.read() as connection:
                assert await batches.batches(connection) == []
            assert await entries(database, "batch_approved") == []

    asyncio.run(story())


def test_i7_a_failure_in_the_middle_leaves_nothing(opened, vault, settings, folder, keys, monkeypatch):
    """The journal fails after the batch, its files and its notifications were written."""

    async def fails(connection, entries):
        raise RuntimeError("disk full")

    async def story():
        async with opened() as database:
            async with database.write() as connection:
                await plant(connection, keys)
            monkeypatch.setattr(approval.journal, "append", fails)
            with pytest.raises(RuntimeError):
                await approve(database, vault, settings, folder, wave="initial", by="dpo", now=AT)
            monkeypatch.undo()
            async with database.read() as connection:
                assert await batches.batches(connection) == []
                left = await connection.execute(text("SELECT COUNT(*) FROM notifications WHERE batch_id IS NOT NULL"))
                assert left.scalar_one() == 0
            made = await approve(database, vault, settings, folder, wave="initial", by="dpo", now=AT)
            assert made.notifications == 9

    asyncio.run(story())


def test_a_wave_that_was_never_planned_is_told(opened, vault, settings, folder):
    async def story():
        async with opened() as database:
            with pytest.raises(OperatorError, match="there is no wave spring"):
                await approve(database, vault, settings, folder, wave="spring", by="dpo", now=AT)

    asyncio.run(story())


def test_the_bound_settings_come_back_as_they_were(opened, vault, settings, folder, keys):
    async def story():
        async with opened() as database:
            async with database.write() as connection:
                await plant(connection, keys)
            made = await approve(database, vault, settings, folder, wave="initial", by="dpo", now=AT)
            async with database.read() as connection:
                _, frozen = await load_batch(connection, made.batch_id)
                assert await segment_key(connection, 1) == keys[0]
                with pytest.raises(StorageError, match="no segment"):
                    await segment_key(connection, 99)
            assert frozen.incidents == settings.incidents
            # How exports write a sender decides nothing any more.
            assert frozen.senders == tuple(each.model_copy(update={"names": ()}) for each in settings.senders)
            assert (frozen.relay.host, frozen.relay.port, frozen.doubt) == ("127.0.0.1", 2525, settings.doubt)

    asyncio.run(story())


def test_check_and_description_and_preview_tell_of_every_segment(opened, settings, folder, keys, tmp_path):
    async def story():
        async with opened() as database:
            async with database.write() as connection:
                await plant(connection, keys)
            found = await findings(database, settings, folder, wave="initial", now=AT)
            assert {finding.severity for finding in found} == {"warning"}
            lines, waiting = await describe(database, settings, folder, wave="initial")
            assert waiting == 9
            assert sum("segment " in line for line in lines) == 3
            segments = await _segments(database)
        assert [(segment.id, segment.notifications, segment.waiting) for segment in segments] == [
            (1, 3, 3),
            (2, 3, 3),
            (3, 3, 3),
        ]
        files = write_preview(folder, settings, segments, tmp_path / "out", planned=AT)
        assert sorted(path.name for path in files) == sorted(
            ["index.html"] + [f"segment-{n}.{kind}" for n in (1, 2, 3) for kind in ("html", "txt", "eml")]
        )
        assert "Tom Exemple" in (tmp_path / "out" / "segment-2.txt").read_text(encoding="utf-8")
        assert "9 dans 3 segments" in (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
        assert write_preview(folder, settings, [], tmp_path / "none", planned=AT) == []
        assert not (tmp_path / "none").exists()

    asyncio.run(story())


def test_a_hash_means_the_notices_that_are_made_of_it(opened, vault, settings, folder, keys):
    async def story():
        async with opened() as database:
            async with database.write() as connection:
                await plant(connection, keys)
            made = await approve(database, vault, settings, folder, wave="initial", by="dpo", now=AT)
            async with database.read() as connection:
                files = await batches.batch_files(connection, made.batch_id)

            async def told(path):
                return [segment for _, segment in await told_by(database, files[f"templates/{path}"][0][:12])]

            assert await told("fr/professional/rib.md") == [3]
            assert await told("fr/insured/nir.md") == [1]
            assert await told("fr/base/children.md") == [2]
            assert await told("fr/parts/measures.md") == [1, 2, 3]
            assert await told_by(database, made.digest) == [(made.batch_id, segment) for segment in (1, 2, 3)]
            with pytest.raises(OperatorError, match="no approved batch"):
                await told_by(database, "0" * 12)

    asyncio.run(story())


def test_i7_words_for_another_wave_stop_nothing_that_was_approved(opened, vault, settings, folder, keys):
    async def story():
        async with opened() as database:
            async with database.write() as connection:
                await plant(connection, keys)
            words = {"initial": WaveWords(news="Un fait."), "correction": WaveWords(wrong="Faux.", right="Vrai.")}
            bound = settings.model_copy(update={"waves": {"initial": words["initial"]}})
            made = await approve(database, vault, bound, folder, wave="initial", by="dpo", now=AT)
            async with database.read() as connection:
                assert await verify_bound(connection, settings.model_copy(update={"waves": words})) == []
                taken_out = await verify_bound(connection, settings)
                _, frozen = await load_batch(connection, made.batch_id)
            assert {each.split(" ")[0] for each in taken_out} == {
                "waves.initial.news", "waves.initial.right", "waves.initial.wrong",
            }  # fmt: skip
            assert frozen.waves == {"initial": words["initial"]}

    asyncio.run(story())


def _from(settings, address="x@autre.example"):
    sender = settings.senders[0].model_copy(update={"from_address": address})
    return settings.model_copy(update={"senders": (sender, *settings.senders[1:])})


def test_i7_nothing_is_approved_under_other_values_while_an_earlier_batch_waits(
    opened, vault, settings, folder, keys, monkeypatch
):
    """Two unfinished batches under different values would lock each other: `send` refuses whatever is set."""
    other = _from(settings)

    async def story():
        async with opened() as database:
            async with database.write() as connection:
                await plant(connection, keys[:1])
            await approve(database, vault, settings, folder, wave="initial", by="dpo", now=AT)
            async with database.write() as connection:
                await plant(connection, keys[1:], first=20)

            async def errors(now_set):
                found = await findings(database, now_set, folder, wave="initial", now=AT)
                return [each for each in found if each.severity == "error"]

            assert await errors(settings) == []
            [found] = await errors(other)
            assert (found.code, found.severity) == ("approved-differs", "error")
            assert "senders.clairval.from_address (approved" in found.text and "--take-back" in found.text
            for ask in (approve, request):
                with pytest.raises(OperatorError, match=r"senders\.clairval\.from_address .*Set it back"):
                    await ask(database, vault, other, folder, wave="initial", by="dpo", now=AT)

            async with database.write() as connection:
                await connection.execute(text("UPDATE deliveries SET state = 'refused' WHERE batch_id = 1"))
            assert await errors(other) == []
            real = approval.look

            async def put_back_meanwhile(*arguments, **more):
                looked = await real(*arguments, **more)
                async with database.write() as connection:
                    await connection.execute(text("UPDATE deliveries SET state = 'queued' WHERE batch_id = 1"))
                return looked

            monkeypatch.setattr(approval, "look", put_back_meanwhile)
            with pytest.raises(OperatorError, match=r"senders\.clairval\.from_address"):
                await approve(database, vault, other, folder, wave="initial", by="dpo", now=AT)
            monkeypatch.undo()
            assert len(await entries(database, "batch_approved")) == 1
            async with database.write() as connection:
                await connection.execute(text("UPDATE deliveries SET state = 'accepted' WHERE batch_id = 1"))
            assert (await approve(database, vault, other, folder, wave="initial", by="dpo", now=AT)).number == 2

    asyncio.run(story())


@pytest.mark.parametrize(
    ("state", "due_ms", "holds"),
    [("in_doubt", 0, False), ("unmade", 0, False), ("in_doubt", 5, True), ("sending", 0, True), ("deferred", 5, True)],
)
def test_i7_what_waits_for_a_decision_alone_stops_nobody(opened, vault, settings, folder, keys, state, due_ms, holds):
    async def story():
        async with opened() as database:
            async with database.write() as connection:
                await plant(connection, keys)
            await approve(database, vault, settings, folder, wave="initial", by="dpo", now=AT)
            async with database.write() as connection:
                await connection.execute(
                    text("UPDATE deliveries SET state = :state, due_ms = :due"), {"state": state, "due": due_ms}
                )
            async with database.read() as connection:
                assert bool(await verify_bound(connection, _from(settings))) is holds
                assert len(await verify_bound(connection, _from(settings), also=[1])) == 1

    asyncio.run(story())
