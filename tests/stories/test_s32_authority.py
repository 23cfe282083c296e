"""Who vouches for the relay is part of what was approved: another authority in the same file stops `send` (I7)."""

from __future__ import annotations

import pytest
import trustme

from tests.stories.test_s01_one_row import DIRECTORY, EXPORT, _key

pytestmark = pytest.mark.thorough


def test_i7_another_authority_at_the_same_place_is_refused(cli, sink, tmp_path):
    file = cli.campaign / "ca.pem"
    approved = trustme.CA().cert_pem.bytes()
    file.write_bytes(approved)
    settings = cli.campaign / "campaign.toml"
    text = settings.read_text(encoding="utf-8")
    settings.write_text(text.replace("[relay]", '[relay]\nca_file = "ca.pem"', 1), encoding="utf-8")
    export, directory = tmp_path / "export.csv", tmp_path / "directory.csv"
    export.write_text(EXPORT.replace(";93;", f";{_key('2950999126111')};"), encoding="cp1252")
    directory.write_text(DIRECTORY.replace(";93;", f";{_key('2950999126111')};"), encoding="utf-8")
    cli("intake", export, "--profile", "viamedis-insured")
    cli("directory", directory, "--profile", "directory")
    cli("plan")
    file.unlink()
    assert "relay.ca_file" in cli("approve", "--yes", expect=2).err
    file.write_bytes(approved)
    cli("approve", "--yes")

    file.write_bytes(trustme.CA().cert_pem.bytes())
    assert "relay.ca_sha256 (approved" in cli("send", expect=2).err
    file.unlink()
    assert "relay.ca_file: " in cli("send", expect=2).err
    assert sink.accepted == []
    file.write_bytes(approved)
    cli("send", "--wait")
    assert len(sink.accepted) == 1
