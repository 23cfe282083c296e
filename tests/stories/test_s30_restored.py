"""A backup is restored after the notices went out: nothing goes out twice by accident, nothing is lost in silence, and
every proof says so (I3, I5, I9)."""

import json
import shutil
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

pytestmark = pytest.mark.thorough

HEADING = (
    "NUM_ADHERENT;NIR;CLE;DATE_NAISSANCE;RANG;NOM;PRENOM;CIVILITE;LIEN;EMAIL;ADRESSE1;ADRESSE2;CODE_POSTAL;VILLE;"
    "NUM_CONTRAT;LANGUE;STATUT;ASSUREUR\n"
)


def approved(cli, tmp_path: Path, people: int = 3) -> None:
    """Some persons with mailboxes, approved."""
    export, directory = tmp_path / "export.csv", tmp_path / "directory.csv"
    rows, members = [], []
    for number in range(people):
        nir = f"29509991261{number:02d}"
        key = f"{97 - int(nir) % 97:02d}"
        rows.append(f"{nir};{key};LÉVÊQUE;Zoé;14/09/1995;1;MUTUELLE CLAIRVAL;C{number};CONFORT\n")
        members.append(
            f"A{number};{nir};{key};14/09/1995;1;LEVEQUE;ZOE;MME;A;p{number}@courriel.example;1 rue des Lilas;;00000;"
            f"Clairval;C{number};fr;actif;Mutuelle Clairval\n"
        )
    heading = "NIR;CLE;NOM;PRENOM;DATE_NAISSANCE;RANG;ASSUREUR;NUM_CONTRAT;GARANTIE\n"
    export.write_text(heading + "".join(rows), encoding="cp1252")
    directory.write_text(HEADING + "".join(members), encoding="utf-8")
    cli("intake", export, "--profile", "viamedis-insured")
    cli("directory", directory, "--profile", "directory")
    cli("plan")
    cli("approve", "--yes")


def query(cli, sql: str) -> list[tuple]:
    with closing(sqlite3.connect(cli.campaign / "campaign.db")) as database:
        return database.execute(sql).fetchall()


def last_checkpoint(cli) -> tuple[int, bytes, str]:
    (found,) = query(cli, "SELECT tree_size, root, note FROM checkpoints ORDER BY tree_size DESC LIMIT 1")
    return found


def test_i5_i9_a_backup_is_restored_after_everything_went_out(cli, sink, tmp_path: Path) -> None:
    approved(cli, tmp_path)
    backup, database, head = tmp_path / "backup.db", cli.campaign / "campaign.db", cli.campaign / "campaign.head"
    shutil.copy(database, backup)
    (before, _, _) = last_checkpoint(cli)
    cli("send", "--wait")
    assert len(sink.accepted) == 3
    size, root, note = last_checkpoint(cli)
    known = json.loads(head.read_text())
    assert (known["size"], known["root"], known["batches"]) == (size, root.hex(), 1)
    assert stat.S_IMODE(head.stat().st_mode) == 0o600

    # The night after, a disk fails.
    shutil.copy(backup, database)
    for command in (
        ["send"],
        ["send", "--test-to", "dpo@courriel.example"],
        ["proof", "export", "--out", tmp_path / "no"],
    ):
        answer = cli(*command, expect=2)
        assert "notifier recover" in answer.err and len(answer.err.splitlines()) == 1
    assert len(sink.accepted) == 3 and database.read_bytes() == backup.read_bytes(), "nothing was changed"
    assert "notifier recover" in cli("status", expect=(0, 1)).err

    told = cli("recover", "--by", "Nour Exploitation", "--yes", "--json", expect=1).json
    assert (told["held"], told["lost"]) == (3, size - before)
    assert (told["attempts_lost"], told["approvals_lost"], told["paused"]) == (3, 0, False)
    cli("send", "--wait", expect=1)
    assert len(sink.accepted) == 3, "nobody is told twice by accident"
    standing = cli("status", "--json", expect=(0, 1)).json
    assert standing["balances"] is True
    assert standing["waves"]["initial"]["notifications"]["in_doubt"] == 3, "and nobody is lost in silence"
    assert json.loads(head.read_text())["size"] == last_checkpoint(cli)[0]
    doubts = cli("doubt", "list", "--json", expect=(0, 1))
    assert doubts.json["held"] == 3

    # Somebody decides on one by name, and it goes out once more, under the same Message-ID.
    cli("doubt", "resend", doubts.json["doubts"][0]["delivery"], "--yes")
    cli("send", "--wait", expect=1)
    assert len(sink.accepted) == 4 and len({message["Message-ID"] for _, message in sink.messages()}) == 3

    # The mail log outlived the database: the others were accepted, too.
    log = cli.campaign / "logs" / "mail.log"
    told = cli("recover", "--mail-log", log, "--by", "Nour Exploitation", "--yes", "--json").json
    assert told == {"recovered": False, "held": 0, "accepted": 2, "lost": 0}
    assert cli("status", "--json").json["waves"]["initial"]["notifications"]["handed_over"] == 3

    pack, held = tmp_path / "proof.zip", tmp_path / "held.txt"
    cli("proof", "export", "--out", pack)
    held.write_text(note)
    alone = cli("proof", "verify", pack)
    assert alone.out.startswith("HOLDS, AND ADMITS A LOSS.") and "Nour Exploitation" in alone.out
    assert "2 deliveries count as accepted by a mail log without signature, on the word of Nour Expl" in alone.out
    against = cli("proof", "verify", pack, "--known-checkpoint", held, expect=1)
    assert against.out.startswith("NOT WHOLE:") and "REFUSED" not in against.out
    verdict = cli("proof", "verify", pack, "--known-checkpoint", held, "--json", expect=1).json
    assert (verdict["ok"], verdict["intact"], verdict["restored"][0]["head_root"]) == (False, False, root.hex())
    assert [each["lost"] for each in verdict["restored"]] == [size - before], "and no second loss for the log's sake"


@pytest.mark.thorough  # tests/delivery/test_seat.py holds it too
def test_i5_another_machine_says_that_it_takes_over(cli, sink, tmp_path: Path) -> None:
    approved(cli, tmp_path, people=1)
    with closing(sqlite3.connect(cli.campaign / "campaign.db")) as database, database:
        database.execute("UPDATE campaign SET sender_host = 'of another machine', sender_epoch = 3")
    assert "--take-over" in cli("send", expect=2).err and sink.accepted == []
    cli("--by", "Nour Exploitation", "send", "--take-over")
    assert len(sink.accepted) == 1
    ((body,),) = query(cli, "SELECT body FROM entries WHERE kind = 'taken_over'")
    facts = json.loads(body)["facts"]
    assert (facts["from"], facts["by"], facts["epoch"]) == ("of another machine", "Nour Exploitation", 4)
    cli("send")
