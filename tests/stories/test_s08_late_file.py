"""A file that arrives after the plan: no approval over its head (I1); an override after approval stops `send` (I7)."""

import subprocess
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.thorough

HEAD = "RAISON_SOCIALE;NOM;PRENOM;PROFESSION;EMAIL;TELEPHONE;ADRESSE;CODE_POSTAL;VILLE;LOGIN;RIB;SIRET;FINESS\n"


def pharmacy(name: str, finess: str) -> str:
    return f"Pharmacie {name};Roux;Léa;Pharmacien;{name.lower()}@courriel.example;;1 quai;00000;Y;lr;;;{finess}\n"


def test_i1_i7_a_late_file_is_planned_before_it_is_approved(cli, sink, tmp_path: Path) -> None:
    first, late = tmp_path / "first.csv", tmp_path / "late.csv"
    first.write_text(HEAD + pharmacy("Lac", "750100125"), encoding="utf-8")
    late.write_text(HEAD + pharmacy("Bois", "750712184") + pharmacy("Lac", "750100125"), encoding="utf-8")
    cli("intake", first, "--profile", "viamedis-professional")
    cli("plan")
    cli("intake", late, "--profile", "viamedis-professional")
    standing = cli("status", "--json", expect=1).json
    assert standing["balances"] is False  # two persons are owed a notice, one has it planned
    assert standing["next"].startswith("plan")
    assert "plan" in cli("approve", "--yes", expect=2).err
    cli("plan")
    assert cli("approve", "--yes", "--json").json["notifications"] == 2
    cli("send", "--wait")
    assert sorted(sink.mailboxes) == ["bois@courriel.example", "lac@courriel.example"]
    assert cli("status", "--json").json["balances"] is True


@pytest.mark.thorough
def test_i7_an_override_of_what_was_approved_stops_the_sending(cli, sink, tmp_path: Path) -> None:
    export = tmp_path / "first.csv"
    export.write_text(HEAD + pharmacy("Lac", "750100125"), encoding="utf-8")
    cli("intake", export, "--profile", "viamedis-professional")
    cli("plan")
    cli("approve", "--yes")
    answer = cli("send", expect=2, NOTIFIER_RELAY__PORT="2")
    assert "relay.port" in answer.err
    assert sink.accepted == []
    settings = cli.campaign / "campaign.toml"
    settings.write_text(
        settings.read_text(encoding="utf-8").replace("Mutuelle Clairval", "Mutuelle Claire"), encoding="utf-8"
    )
    assert "senders" in cli("send", expect=2).err
    settings.write_text(
        settings.read_text(encoding="utf-8").replace("Mutuelle Claire", "Mutuelle Clairval"), encoding="utf-8"
    )
    cli("send", "--wait")
    assert len(sink.accepted) == 1


def test_i7_nothing_is_approved_under_other_values_while_a_run_goes_on(cli, sink, tmp_path: Path) -> None:
    first, late = tmp_path / "first.csv", tmp_path / "late.csv"
    names = [f"Lac{number}" for number in range(6)]
    finess = ("750100125", "750712184", "750803447", "750803454", "920000650", "920000684")
    first.write_text(HEAD + "".join(map(pharmacy, names, finess)), encoding="utf-8")
    late.write_text(HEAD + pharmacy("Bois", "130001647"), encoding="utf-8")
    cli("intake", first, "--profile", "viamedis-professional")
    cli("plan")
    cli("approve", "--yes")
    slowly = cli.env(NOTIFIER_RELAY__RATE="1")
    running = subprocess.Popen(
        cli.argv("send", "--wait"), env=slowly, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    while not sink.accepted:
        assert running.poll() is None
        time.sleep(0.05)
    cli("intake", late, "--profile", "viamedis-professional")
    cli("plan")
    _from(cli, "information", "avis")
    assert "senders.clairval.from_address" in cli("approve", "--yes", expect=2).err
    _, said = running.communicate(timeout=60)
    assert running.returncode == 1, said  # one waits for an approval
    assert len(sink.accepted) == 6 and "bois@courriel.example" not in sink.mailboxes
    cli("approve", "--yes")
    cli("send", "--wait")
    [told] = [message for recipient, message in sink.messages() if recipient == "bois@courriel.example"]
    assert "avis@mutuelle-clairval" in str(told["From"])
    assert cli("status", "--json").json["balances"] is True


def _from(cli, old: str, new: str) -> None:
    settings = cli.campaign / "campaign.toml"
    text = settings.read_text(encoding="utf-8")
    assert f"{old}@mutuelle-clairval" in text
    settings.write_text(text.replace(f"{old}@mutuelle-clairval", f"{new}@mutuelle-clairval"), encoding="utf-8")


def test_i7_two_batches_under_different_values_do_not_lock_each_other(cli, sink, tmp_path: Path) -> None:
    first, late = tmp_path / "first.csv", tmp_path / "late.csv"
    first.write_text(HEAD + pharmacy("Lac", "750100125") + pharmacy("Mer", "750712184"), encoding="utf-8")
    late.write_text(HEAD + pharmacy("Bois", "130001647"), encoding="utf-8")
    cli("intake", first, "--profile", "viamedis-professional")
    cli("plan")
    cli("approve", "--yes")
    sink.answers["mer@courriel.example"] = "451 4.2.0 later"
    cli("send", expect=1)
    cli("intake", late, "--profile", "viamedis-professional")
    cli("plan")
    _from(cli, "information", "avis")
    assert "approved-differs" in cli("check", expect=2).out
    answer = cli("approve", "--yes", expect=2)
    assert "senders.clairval.from_address" in answer.err and "--take-back" in answer.err
    assert cli("status", "--json").json["next"].startswith("check (")
    _from(cli, "avis", "information")
    sink.answers["mer@courriel.example"] = "550 5.1.1 no such user"
    cli("send", "--wait", expect=1)

    _from(cli, "information", "avis")
    cli("approve", "--yes")
    answer = cli("requeue", "--state", "refused", "--code", "550", "--since", "2024-01-01", "--yes", expect=2)
    assert "approved under other values" in answer.err
    cli("send", "--wait", expect=1)
    assert "bois@courriel.example" in sink.mailboxes


def test_i1_i3_i7_an_approval_is_taken_back_for_what_told_nobody(cli, sink, tmp_path: Path) -> None:
    """The relay is gone, or a text is wrong, in the middle of a batch: who was not told is approved anew."""
    export = tmp_path / "first.csv"
    rows = [("Lac", "750100125"), ("Mer", "750712184"), ("Bois", "130001647"), ("Pre", "750803447")]
    export.write_text(HEAD + "".join(pharmacy(*row) for row in rows), encoding="utf-8")
    cli("intake", export, "--profile", "viamedis-professional")
    cli("plan")
    cli("approve", "--yes")
    for name in ("mer", "bois"):
        sink.answers[f"{name}@courriel.example"] = "451 4.2.0 later"
    cli("send", "--limit", "3", expect=1)
    told = set(sink.mailboxes)
    _from(cli, "information", "avis")
    assert "--take-back" in cli("send", expect=2).err
    assert "--why" in cli("approve", "--take-back", "--yes", expect=2).err
    cli("approve", "--why", "x", "--yes", expect=2)
    question = cli("approve", "--take-back", "--why", "le relais est perdu", expect=2).err
    assert f"{4 - len(told)} e-mails told nobody" in question and "say --yes" in question
    assert "no wave" in cli("approve", "--take-back", "--wave", "x", "--why", "x", "--yes", expect=2).err

    words = ("approve", "--take-back", "--why", "le relais est perdu", "--by", "Anne", "--yes", "--json")
    assert cli(*words).json == {
        "wave": "initial",
        "withdrawn": 4 - len(told),
        "notifications": 4 - len(told),
        "held": 0,
    }
    assert cli(*words).json["withdrawn"] == 0
    standing = cli("status", "--json").json
    assert standing["balances"] is True and standing["waves"]["initial"]["notifications"]["pending"] == 4 - len(told)
    assert standing["next"].startswith("plan") and standing["differing"] == []
    assert "run `notifier plan`" in cli("approve", "--yes", expect=2).err
    cli("plan")
    assert cli("approve", "--yes", "--json").json["notifications"] == 4 - len(told)
    sink.answers.clear()
    cli("send", "--wait")
    assert sorted(sink.mailboxes.values()) == [1, 1, 1, 1]
    senders = {recipient: str(message["From"]) for recipient, message in sink.messages()}
    assert {"avis@mutuelle-clairval" in senders[one] for one in senders if one not in told} == {True}
    assert cli("status", "--json").json["balances"] is True
    pack = tmp_path / "proof.zip"
    cli("proof", "export", "--out", pack)
    verdict = cli("proof", "verify", pack, "--json").json
    assert any("approval was taken back" in remark and "Anne" in remark for remark in verdict["remarks"]), verdict


@pytest.mark.parametrize("policy", ["resend", "hold"])
def test_i1_what_a_killed_send_was_at_is_held_when_the_approval_is_taken_back(
    cli, sink, tmp_path: Path, policy: str
) -> None:
    """Nobody knows whether it arrived: it is in doubt, and not told anew. While `send` runs, nothing is taken back."""
    cli.environment["NOTIFIER_DOUBT__POLICY"] = policy
    export = tmp_path / "first.csv"
    export.write_text(HEAD + pharmacy("Lac", "750100125") + pharmacy("Mer", "750712184"), encoding="utf-8")
    cli("intake", export, "--profile", "viamedis-professional")
    cli("plan")
    cli("approve", "--yes")
    sink.silent = True
    slowly = cli.env(NOTIFIER_RELAY__RATE="0.01")
    running = subprocess.Popen(cli.argv("send", "--wait"), env=slowly, stderr=subprocess.DEVNULL)
    assert sink.asked.wait(60)
    words = ("approve", "--take-back", "--why", "x", "--yes", "--json")
    assert f"being sent by process {running.pid}" in cli(*words, expect=75).err
    running.kill()
    running.wait(60)
    taken = cli(*words, expect=1).json
    assert taken == {"wave": "initial", "withdrawn": 1, "notifications": 1, "held": 1}
    assert cli(*words).json["held"] == 0, "safe to run twice"
    standing = cli("status", "--json").json
    assert standing["balances"] is True and standing["waves"]["initial"]["deliveries"]["in_doubt"] == 1
    assert "in_doubt" in (cli.campaign / "logs" / "mail.log").read_text(encoding="utf-8")
