"""The files that a relay's settings name, as `check` looks at them."""

from __future__ import annotations

from pathlib import Path

from notifier.campaign import RelayAccess
from notifier.notices.relay_files import check_relay_files


def test_a_relays_secret_that_others_can_read_is_told(settings, tmp_path):
    """As the campaign's key and those of DKIM; what a group of the system's may read is the sysadmin's choice."""
    files = {"password_file": Path("pw"), "client_key": Path("client.key")}
    relay = settings.relay.model_copy(update={"fallback": RelayAccess(host="second.example", rate=1)})
    fallback = relay.fallback.model_copy(update=files)
    written = settings.model_copy(update={"relay": relay.model_copy(update={**files, "fallback": fallback})})
    assert list(check_relay_files(written, tmp_path)) == [], "what is missing is told by whoever needs it"
    for path in ("pw", "client.key"):
        (tmp_path / path).write_text("secret")
        (tmp_path / path).chmod(0o640)
    assert list(check_relay_files(written, tmp_path)) == []
    for path in ("pw", "client.key"):
        (tmp_path / path).chmod(0o604)
    found = list(check_relay_files(written, tmp_path))
    assert {(each.code, each.severity) for each in found} == {("relay-secret-mode", "error")}
    sections = ("relay", "relay.fallback")
    assert [each.where for each in found] == [f"{section}.{name}" for section in sections for name in files]
    assert all("0604" in each.text and "chmod 600" in each.text for each in found)
