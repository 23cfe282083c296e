"""One insured person, one row, one member of the directory: one notice, one proof."""

import hashlib
import json
import re
from pathlib import Path

EXPORT = """NIR;CLE;NOM;PRENOM;DATE_NAISSANCE;RANG;ASSUREUR;NUM_CONTRAT;GARANTIE
2950999126111;93;LÉVÊQUE;Zoé;14/09/1995;1;MUTUELLE CLAIRVAL;C100;CONFORT
"""
DIRECTORY = (
    "NUM_ADHERENT;NIR;CLE;DATE_NAISSANCE;RANG;NOM;PRENOM;CIVILITE;LIEN;EMAIL;ADRESSE1;ADRESSE2;CODE_POSTAL;VILLE;"
    "NUM_CONTRAT;LANGUE;STATUT;ASSUREUR\n"
    "A1;2950999126111;93;14/09/1995;1;LEVEQUE;ZOE;MME;A;zoe.leveque@courriel.example;1 rue des Lilas;;00000;Clairval;"
    "C100;fr;actif;Mutuelle Clairval\n"
)


def _key(nir13: str) -> str:
    return f"{97 - int(nir13) % 97:02d}"


def test_one_row_becomes_one_notice_and_a_proof_that_holds(cli, sink, tmp_path: Path) -> None:
    export, directory = tmp_path / "export.csv", tmp_path / "directory.csv"
    export.write_text(EXPORT.replace(";93;", f";{_key('2950999126111')};"), encoding="cp1252")
    directory.write_text(DIRECTORY.replace(";93;", f";{_key('2950999126111')};"), encoding="utf-8")

    taken = cli("intake", export, "--profile", "viamedis-insured", "--json").json
    assert {key: taken[key] for key in ("rows", "records", "rejections", "persons_new", "persons_known")} == {
        "rows": 1,
        "records": 1,
        "rejections": 0,
        "persons_new": 1,
        "persons_known": 0,
    }
    assert cli("directory", directory, "--profile", "directory", "--json").json["records"] == 1

    plan = cli("plan", "--json").json
    assert (plan["wave"], plan["notifications"], plan["review"]) == ("initial", 1, 0)
    assert plan["by_route"] == {"email": 1, "post": 0, "none": 0}
    (segment,) = plan["segments"]
    assert segment["audience"] == "insured"
    assert segment["exposures"] == sorted(
        f"viamedis:{category}"
        for category in ("birth_date", "birth_rank", "civil_status", "contract", "guarantees", "insurer", "nir")
    )

    # Before approval nothing goes out.
    cli("send", expect=(0, 1))
    assert sink.accepted == []

    cli("check")
    assert cli("approve", "--yes", "--json").json["notifications"] == 1
    cli("send", "--wait")
    ((recipient, message),) = sink.messages()
    assert recipient == "zoe.leveque@courriel.example"
    assert message["To"].addresses[0].addr_spec == recipient
    assert "Clairval" in message["Subject"]
    for kind in ("plain", "html"):
        body = message.get_body((kind,))
        text = body.get_content()
        assert "Viamedis" in text
        assert "2950999126111" not in text.replace(" ", "")
        assert "14/09/1995" not in text
    assert message["Auto-Submitted"] == "auto-generated"

    # Running again changes nothing.
    cli("send", "--wait")
    assert len(sink.accepted) == 1

    standing = cli("status", "--json").json
    assert standing["balances"] is True
    assert standing["persons"] == 1
    assert standing["rows"] == {"read": 1, "records": 1, "rejections": 0, "open_rejections": 0}
    terms = standing["waves"]["initial"]["notifications"]
    assert terms["owed"] == terms["handed_over"] == 1
    assert standing["waves"]["initial"]["deliveries"] == {"accepted": 1}

    pack = tmp_path / "proof.zip"
    fingerprint = cli("proof", "export", "--out", pack, "--json").json["fingerprint"]
    assert cli("proof", "verify", pack, "--fingerprint", fingerprint, "--json").json["ok"] is True
    cli("proof", "verify", pack, "--fingerprint", "0" * 64, expect=1)

    # The person's own proof: with its blind, the message in the mailbox is the one that the journal speaks of.
    text = message.get_body(("plain",)).get_content()
    reference = re.search(r"[0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{4}", text)[0]
    own = tmp_path / "own.json"
    cli("proof", "person", "--reference", reference, "--out", own)
    cli("proof", "verify", own, "--fingerprint", fingerprint)
    (accepted,) = (
        each for each in json.loads(own.read_bytes())["entries"] if each["entry"]["kind"] == "delivery_accepted"
    )
    (_recipient, content) = sink.accepted[0]
    blinded = hashlib.sha256(bytes.fromhex(accepted["blinds"]["notice"]) + content).hexdigest()
    assert blinded == accepted["entry"]["facts"]["notice_sha256"]
    assert hashlib.sha256(content).hexdigest() not in own.read_text()
