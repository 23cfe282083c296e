"""A ZIP with an export in two parts and a note, of which one part was another mutuelle's: it is forgotten, with a
certificate, and the proof still holds."""

import hashlib
import json
import sqlite3
import zipfile
from contextlib import closing
from pathlib import Path

import pytest

from notifier.proof.certificates import verify_certificate

pytestmark = pytest.mark.thorough

HEAD = "NIR;CLE;NOM;PRENOM;DATE_NAISSANCE;RANG;ASSUREUR;NUM_CONTRAT;GARANTIE\n"
NIR = "2950999126111"
ROW = f"{NIR};{97 - int(NIR) % 97:02d};EXEMPLE;{{}};14/09/1995;{{}};X;C1;CONFORT\n"


def one_line(answer) -> str:
    (line,) = [line for line in answer.err.splitlines() if line.startswith("notifier: ")]
    return line


def test_I1_I8_a_part_received_by_error_is_forgotten(cli, tmp_path: Path) -> None:
    right, wrong = (HEAD + ROW.format("Zoé", 1)).encode(), (HEAD + ROW.format("Léa", 2) + "1;2;A;B;;;X;;\n").encode()
    archive = tmp_path / "export.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in (("1.csv", right), ("2.csv", wrong), ("lisez-moi.txt", b"Deux fichiers.\n")):
            packed.writestr(name, content)
    checked = cli("profile", "check", archive, "--profile", "viamedis-insured")
    assert "file 1 of 3 alone was looked at" in checked.out
    taken = cli("intake", archive, "--profile", "viamedis-insured", "--json", expect=1)
    assert [each["member"] for each in taken.json["files"]] == ["file 1 of 3", "file 2 of 3"]
    assert taken.json["not_read"] == [
        {"archive": str(archive), "file": 3, "size_bytes": 15, "what": "a text without a table"}
    ]
    assert "file 3 (15 bytes) is not read: a text without a table" in taken.err
    assert taken.json["rows"] == 3
    cli("plan")

    sha256 = hashlib.sha256(wrong).hexdigest()
    assert "is an archive" in one_line(
        cli("intake", "--forget", hashlib.sha256(archive.read_bytes()).hexdigest(), "--yes", expect=2)
    )
    assert "alone" in one_line(cli("intake", "--forget", sha256, "--undo", sha256, expect=2))
    asked = one_line(cli("intake", "--forget", sha256, expect=2))
    assert "1 records, 1 persons known from it alone, 0 contacts, 1 rejections?" in asked
    assert "--yes" in asked
    assert cli("status", "--json").json["persons"] == 2

    done = cli("intake", "--forget", sha256[:10], "--yes", "--json").json
    certificate = cli.campaign / "certificates" / f"forget-{sha256[:12]}.md"
    assert (done["sha256"], done["already"], done["certificates"]) == (sha256, False, [str(certificate)])
    assert (done["removed"]["records"], done["removed"]["persons"], done["removed"]["rejections"]) == (1, 1, 1)
    with closing(sqlite3.connect(cli.campaign / "campaign.db")) as connection:
        campaign, key = connection.execute("SELECT campaign_id, public_key FROM campaign").fetchone()
        [(body,)] = connection.execute("SELECT body FROM entries WHERE kind = 'file_forgotten'").fetchall()
    assert verify_certificate(certificate, campaign, key) == json.loads(body)["facts"]["certificate"]
    assert "# Certificat d'effacement" in certificate.read_text("utf-8")
    assert certificate.parent.stat().st_mode & 0o777 == 0o700
    assert not list((cli.campaign / "rejections").iterdir())

    again = cli("intake", "--forget", sha256, "--json")  # nothing is deleted: nobody is asked
    assert (again.json["already"], again.json["certificates"]) == (True, [])
    certificate.unlink()
    assert cli("intake", "--forget", sha256, "--json").json["certificates"] == [str(certificate)]

    standing = cli("status", "--json").json
    assert (standing["persons"], standing["balances"]) == (1, True)
    cli("plan")
    cli("approve", "--yes")
    assert "nobody approved is pulled away" in one_line(
        cli("intake", "--forget", hashlib.sha256(right).hexdigest(), "--yes", expect=2)
    )
    pack = tmp_path / "proof.zip"
    fingerprint = cli("proof", "export", "--out", pack, "--json").json["fingerprint"]
    assert cli("proof", "verify", pack, "--fingerprint", fingerprint, "--json").json["ok"] is True
