"""The sender is killed while it sends; the same command again finishes the work (I5)."""

import signal
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from notifier.campaign import shipped
from notifier.drill.truth import expected_messages, read_truth

pytestmark = pytest.mark.thorough


def test_i5_killed_in_the_middle_nobody_is_lost(cli, sink, tmp_path: Path) -> None:
    samples = shipped("data") / "samples"
    for profile in ("viamedis-insured", "almerys-insured"):
        cli("intake", samples / f"{profile}.csv", "--profile", profile, expect=(0, 1))
    for profile in ("viamedis-professional", "almerys-professional"):
        cli("intake", samples / f"{profile}.xlsx", "--profile", profile, expect=(0, 1))
    cli("directory", samples / "directory.csv", "--profile", "directory")
    cli("plan", expect=(0, 1))
    cli("approve", "--yes")

    sender = subprocess.Popen(
        cli.argv("send", "--wait"), env=cli.env(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while len(sink.accepted) < 25:
        assert sender.poll() is None, "the sender ended before it could be killed"
    sender.send_signal(signal.SIGKILL)
    sender.wait()

    cli("send", "--wait", expect=(0, 1))
    expected = expected_messages(read_truth(samples / "truth.jsonl"))
    surplus = sink.mailboxes - expected
    assert expected - sink.mailboxes == Counter()  # nobody lost
    assert sum(surplus.values()) <= 16  # at most the window
    ids = Counter(str(message["Message-ID"]) for _recipient, message in sink.messages())
    doubled = {key for key, count in ids.items() if count > 1}
    assert max(ids.values()) <= 2

    # Every message that came twice has a doubt in the journal.
    import json
    import zipfile

    pack = tmp_path / "proof.zip"
    cli("proof", "export", "--out", pack)
    with zipfile.ZipFile(pack) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith("entries.jsonl")]
        text = archive.read(name).decode()
    doubts = text.count("delivery_in_doubt")
    assert doubts >= len(doubled)
    for message_id in doubled:
        token = message_id.strip("<>").split("@")[0]
        assert token in text
    assert json.loads(text.splitlines()[0])
    cli("proof", "verify", pack)
    assert cli("status", "--json").json["balances"] is True
