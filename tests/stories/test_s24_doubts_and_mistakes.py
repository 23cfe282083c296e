"""A night's decisions, by the commands: a relay that drops after the dot, mailboxes refused by mistake. Everything is
settled by name, the account balances at each step, and the proof says whose decision it was."""

from __future__ import annotations

import json
import socket
from collections import Counter
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller

from tests.stories.conftest import Sink
from tests.stories.test_s10_at_night import sent

pytestmark = pytest.mark.thorough


def test_decided_by_name_and_proven(cli, sink, tmp_path: Path) -> None:
    sent(cli, tmp_path, 60)
    toml = cli.campaign / "campaign.toml"
    wakes = '\n[send]\non_pause_command = "false"\non_finish_command = ["sh", "-c", "env >> woken"]\n'
    toml.write_text(toml.read_text("utf-8") + wakes, "utf-8")
    lost: list[str] = []
    bad: set[str] = set()
    take = sink.handle_DATA

    async def rcpt(server, session, envelope, address, options):
        if address in bad or len(bad) < 3:
            bad.add(address)
            return "550 5.1.1 no such user"
        envelope.rcpt_tos.append(address)
        return "250 Ok"

    async def data(server, session, envelope):
        answer = await take(server, session, envelope)
        if len(lost) < 2:
            lost.append(envelope.rcpt_tos[0])
            server.transport.close()  # taken, and the answer is lost
        return answer

    sink.handle_RCPT, sink.handle_DATA = rcpt, data
    cli.environment["NOTIFIER_RETRY__FIRST_SECONDS"] = "900"  # no second sending by itself meanwhile
    cli("send", expect=1)
    del sink.handle_RCPT
    sink.handle_DATA = take
    listed = cli("doubt", "list", "--json").json
    assert (listed["held"], listed["resend"]) == (0, 2)
    references = [each["reference"] for each in listed["doubts"]]
    standing = cli("status", "--json").json
    terms = standing["waves"]["initial"]["notifications"]
    assert standing["balances"] and terms["in_doubt"] >= 2
    assert "courriel" not in cli("doubt", "list").out

    # -- in doubt
    assert "nobody to ask" in cli("doubt", "accept", references[0], "--reason", "journal du relais", expect=2).err
    accept = (
        "doubt",
        "accept",
        references[0],
        "--reason",
        "journal du relais",
        "--by",
        "Anne Moreau",
        "--yes",
        "--json",
    )
    assert cli(*accept).json["changed"] == 1
    assert cli(*accept).json == {"changed": 0, "deliveries": [], "already": 1, "excluded": 0}
    assert "by decision" in cli("people", "find", "--reference", references[0]).out
    assert cli("doubt", "resend", "--all", "--yes", "--json").json["changed"] == 1
    assert cli("doubt", "resend", references[1], "--yes", "--json").json["already"] == 1
    assert "no delivery" in cli("doubt", "resend", "nobody", "--yes", expect=2).err

    # -- refused by mistake
    assert "--since" in cli("requeue", "--state", "refused", "--code", "550", "--yes", expect=2).err
    order = ("requeue", "--state", "refused", "--code", "5.1.1", "--since", "2024-01-01")
    none = cli("requeue", "--state", "refused", "--code", "551", "--since", "2024-01-01", "--yes").out
    assert "None failed so: logs/mail.log" in none and "notifier send" not in none
    shown = cli(*order, "--dry-run", "--json").json
    assert shown["requeued"] >= 3 and shown["dry_run"] is True
    assert "nobody to ask" in cli(*order, expect=2).err
    assert cli(*order, "--by", "Anne Moreau", "--yes", "--json").json == {**shown, "dry_run": False}
    assert cli(*order, "--yes", "--json").json["requeued"] == 0
    assert cli("status", "--json").json["balances"]

    cli("proof", "export", "--out", tmp_path / "before.zip")  # raises if tables and journal do not agree
    report = cli("send", "--json", expect=(0, 1)).json
    woken = (cli.campaign / "woken").read_text("utf-8")
    assert woken.count("NOTIFIER_EVENT=finish") == 1 and f"NOTIFIER_ACCEPTED={report['accepted']}" in woken
    assert report["accepted"] == shown["requeued"] + 1 and report["left"]["waiting"] == 0
    standing = cli("status", "--json").json
    assert standing["balances"] and standing["waves"]["initial"]["notifications"]["in_doubt"] == 0
    assert bad <= set(sink.mailboxes)
    ids = Counter(message["Message-ID"] for _, message in sink.messages())
    assert sorted(ids.values())[-2:] == [1, 2], "one possible duplicate, known by its Message-ID"

    cli("proof", "export", "--out", tmp_path / "proof.zip")
    verdict = cli("proof", "verify", tmp_path / "proof.zip").out
    assert "1 deliveries count as accepted by decision of Anne Moreau, not by the relay" in verdict
    assert "1 possible duplicates" in verdict
    cli("proof", "person", "--reference", references[0], "--out", tmp_path / "one.json")
    assert "by decision of Anne Moreau" in cli("proof", "verify", tmp_path / "one.json").out


def test_somebody_is_woken_for_whatever_stops_it_and_once(cli, tmp_path: Path) -> None:
    """The relay is down, the canary is out, the sender is refused, all is sent: each is told by a real program."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    cli.environment |= {"NOTIFIER_RELAY__PORT": str(port), "NOTIFIER_PACE__CANARY": "5"}
    sent(cli, tmp_path, 40)
    program = cli.campaign / "wake.py"
    program.write_text(
        "import json, os\n"
        "told = {name: value for name, value in os.environ.items() if name.startswith('NOTIFIER_')}\n"
        "print(json.dumps(told), file=open('woken', 'a'))\n",
        "utf-8",
    )
    toml = cli.campaign / "campaign.toml"
    wakes = '\n[send]\non_pause_command = "python3 wake.py"\non_finish_command = "python3 wake.py"\n'
    toml.write_text(toml.read_text("utf-8") + wakes, "utf-8")

    def woken() -> list[tuple[str, str]]:
        lines = (cli.campaign / "woken").read_text("utf-8").splitlines()
        return [(told["NOTIFIER_EVENT"], told["NOTIFIER_REASON"]) for told in map(json.loads, lines)]

    cli("send", expect=75)
    ((event, reason),) = woken()
    assert event == "error" and "does not answer" in reason

    sink = Sink(port)
    controller = Controller(sink, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        cli("send", expect=1)
        assert woken()[1][0] == "pause" and woken()[1][1].startswith("canary: 5 begun")
        cli("send", expect=1)
        assert len(woken()) == 2, "who begins a paused campaign sees it"
        cli("resume")

        async def mail(server, session, envelope, address, options):
            return "550 5.7.1 sender not allowed"

        sink.handle_MAIL = mail
        cli("send", expect=1)
        assert woken()[2][0] == "pause" and "sender not allowed" in woken()[2][1]
        del sink.handle_MAIL
        cli("resume")
        cli("send", expect=(0, 1))
    finally:
        controller.stop()
    assert [event for event, _ in woken()] == ["error", "pause", "pause", "finish"]
    cli("proof", "export", "--out", tmp_path / "proof.zip")
