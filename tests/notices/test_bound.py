"""Differences name the old value and the new one, also where both are long (I7)."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest
import trustme

from notifier.authorities import check_authorities, with_authorities
from notifier.campaign import RelayAccess
from notifier.errors import SettingsError
from notifier.notices.bound import bound_settings, differences, frozen_settings
from notifier.notices.dossier.differences import compared, told
from notifier.notices.relay_files import check_relay_files


def test_i7_each_difference_has_both_values():
    then = {"relay": {"host": "a", "port": 25}, "names": ["one", "two"]}
    now = {"relay": {"host": "a", "port": 26, "tls": "none"}, "names": ["one"]}
    assert differences(then, now) == [
        'names.1 (taken out, approved "two")',
        "relay.port (approved 25, now 26)",
        'relay.tls (new: "none")',
    ]


def test_i7_long_values_are_shown_where_they_part():
    long = "Une personne malveillante s'est servie d'identifiants volés pour entrer au portail et y lire des données"
    [difference] = differences({"x": f"{long}."}, {"x": f"{long} médicales, dit-on, de beaucoup de personnes."})
    old, new = difference.removeprefix("x (approved ").removesuffix(")").split(", now ", 1)
    assert old != new
    assert "médicales" in new
    assert old.startswith("…")
    assert differences({"x": "a" * 100}, {"x": "b" * 100}) == [f'x (approved "{"a" * 59}…, now "{"b" * 59}…)']


def manifest(**changed):
    segment = {"id": 1, "audience": "insured", "notifications": 3}
    made = {
        "format": "f", "campaign": "c", "digest": "d", "batch": 1,
        "segments": [segment], "texts": [text("Bonjour")], "bound": {"relay": {"port": 25}},
        "files": {"a.md": "1" * 64},
        "list": {"notifications": 3, "sha256": "0" * 64}, "routes": [], "findings": [],
        "files_in": [], "files_held": [],
        "approval": {"required": 0, "author": "", "signers": []}, "reviews": {},
    }  # fmt: skip
    return made | changed


def text(words, segments=(1,), page="p"):
    return {"segments": list(segments), "subject": "Objet", "text": words, "html_sha256": page}


def test_i7_nothing_differs_from_itself():
    assert told(manifest(), manifest()) == []
    found = compared(manifest(), manifest(batch=2))
    assert (found.added, found.removed, found.texts, found.settings, found.files) == ([], [], [], [], [])


def test_i7_what_a_signer_was_shown_counts_although_no_batch_freezes_it():
    held = {"kind": "export", "sha256": "e" * 64, "reason": "senders", "rows": 7}
    differing = told(manifest(), manifest(files_held=[held], reviews={"ambiguous": 2}))
    assert "files_held.export eeeeeeeeeeee.rows (new: 7)" in differing
    assert "reviews.ambiguous (new: 2)" in differing


def test_i7_a_change_that_many_texts_share_is_told_once_and_its_cause_first():
    segments = [{"id": 1, "notifications": 3}, {"id": 2, "notifications": 4}]
    then = manifest(segments=segments, texts=[text("Bonjour\nAppelez le 1\nMerci"), text("Appelez le 1", (2,))])
    now = manifest(
        segments=segments,
        texts=[text("Bonjour\nAppelez le 2\nMerci"), text("Appelez le 2", (2,))],
        bound={"relay": {"port": 25}, "phone": "2"},
    )
    assert told(then, now) == ['bound.phone (new: "2")', "the text of segment 1, 2: -Appelez le 1 ⏎ +Appelez le 2"]
    # A line that begins with a dash of its own is a line like others.
    then, now = manifest(texts=[text("-- un\n-- deux")]), manifest(texts=[text("-- un\n-- trois")])
    assert told(then, now) == ["the text of segment 1: --- deux ⏎ +-- trois"]


def test_i7_texts_are_compared_by_segment_and_told_once():
    one, two = {"id": 1, "notifications": 3}, {"id": 2, "notifications": 4}
    then = manifest(segments=[one, two], texts=[text("Bonjour\nà tous", (1, 2))])
    now = manifest(segments=[one, two, {"id": 3, "notifications": 1}], texts=[text("Bonsoir\nà tous", (1, 2, 3))])
    assert told(then, now) == [
        "segment 3 is new (1 notifications)",
        "the text of segment 1, 2: -Bonjour ⏎ +Bonsoir",
    ]
    found = compared(then, now)
    [(segments, lines)] = found.texts
    assert segments == [1, 2]
    assert "-Bonjour" in lines
    assert [each["id"] for each in found.added] == [3]
    [(_, lines)] = compared(manifest(), manifest(texts=[text("Bonjour", page="q")])).texts
    assert lines == []
    assert told(manifest(), manifest(texts=[text("Bonjour", page="q")])) == [
        "the text of segment 1: the same words in another page"
    ]


def with_authority(settings, name, **fallback):
    relay = settings.relay.model_copy(update={"ca_file": Path(name)})
    if fallback:
        relay = relay.model_copy(update={"fallback": RelayAccess(host="second.example", rate=1, **fallback)})
    return settings.model_copy(update={"relay": relay})


def test_i7_the_authority_that_vouches_for_a_relay_is_bound_and_not_where_its_file_lies(settings, tmp_path):
    one, other = trustme.CA().cert_pem.bytes(), trustme.CA().cert_pem.bytes()
    (tmp_path / "ca.pem").write_bytes(one)
    (tmp_path / "second.pem").write_bytes(one)
    written = with_authority(settings, "ca.pem", ca_file="second.pem")
    approved = bound_settings(with_authorities(written, tmp_path))
    assert approved["relay"]["ca_sha256"] == approved["relay"]["fallback"]["ca_sha256"] == sha256(one).hexdigest()
    assert "ca_file" not in str(approved)
    assert frozen_settings(approved).relay.ca_sha256 == sha256(one).hexdigest()

    moved = with_authority(settings, "second.pem", ca_file=tmp_path / "ca.pem")
    assert differences(approved, bound_settings(with_authorities(moved, tmp_path))) == []
    (tmp_path / "second.pem").write_bytes(other)
    [told] = differences(approved, bound_settings(with_authorities(written, tmp_path)))
    assert told.startswith("relay.fallback.ca_sha256 (approved ")
    (tmp_path / "ca.pem").write_bytes(other)
    assert len(differences(approved, bound_settings(with_authorities(written, tmp_path)))) == 2
    by_hand = settings.model_copy(update={"relay": settings.relay.model_copy(update={"ca_sha256": "0" * 64})})
    assert with_authorities(by_hand, tmp_path).relay.ca_sha256 == ""
    assert with_authorities(settings, tmp_path) is settings


def test_i7_a_file_of_authorities_that_is_none_binds_nothing_and_is_told(settings, tmp_path):
    for content in (None, b"no certificate"):
        if content is not None:
            (tmp_path / "ca.pem").write_bytes(content)
        written = with_authority(settings, "ca.pem")
        assert with_authorities(written, tmp_path).relay.ca_sha256 == ""
        [found] = check_relay_files(written, tmp_path)
        assert (found.code, found.where, found.severity) == ("relay-ca-file", "relay.ca_file", "error")
        assert str(tmp_path / "ca.pem") in found.text
        with pytest.raises(SettingsError, match=r"relay\.ca_file: .*ca\.pem"):
            check_authorities(written, tmp_path)
