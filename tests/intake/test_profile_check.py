"""`profile check`: what is shown is what intake would do, nothing is stored, and no NIR or RIB is ever shown."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from notifier.campaign import shipped
from notifier.errors import ExportError, SettingsError
from notifier.intake.trials import Trial, try_out
from notifier.intake.verdicts import Verdict, verdict_of

from .conftest import GOOD, HEADINGS, rows_of

SAMPLES = {
    "viamedis-insured": "viamedis-insured.csv",
    "almerys-insured": "almerys-insured.csv",
    "viamedis-professional": "viamedis-professional.xlsx",
    "almerys-professional": "almerys-professional.xlsx",
    "directory": "directory.csv",
}
NAMELESS = ";;LEFEVRE;ANNE ZOE;02/08/1955;1;MUTUELLE CLAIRVAL;;Équilibre 1"
WRONG_KEY = GOOD.replace(";38;", ";39;")
RIB = "20041 01005 0500013M026 06"


@pytest.fixture
def look(vault, settings, folder, now) -> Callable[..., Trial]:
    def looking(path: Path, profile: str, **options) -> Trial:
        options = {"incident": None, "most": None, "shown": 10, "now": now, **options}
        return try_out(vault, settings, folder, path, profile, **options)

    return looking


@pytest.mark.parametrize("profile", SAMPLES)
def test_its_verdicts_are_those_of_the_intake(profile: str, look, intake) -> None:
    path = shipped("data") / "samples" / SAMPLES[profile]
    trial = look(path, profile)
    staged = intake.stage(path, profile)
    assert trial.whole
    assert (trial.rows, trial.verdicts.rows.get(Verdict.REJECTED, 0)) == (staged.rows, staged.rejections)
    told = Counter({(column, code): count for (column, code), count in trial.rejections.items()})
    assert told == Counter((heading, code) for _, heading, code in intake.rejected())
    if profile == "directory":
        assert sum(trial.senders.values()) == len(intake.query("SELECT line FROM contacts"))
        return
    records = intake.staged()
    assert trial.exposures == Counter(row["canonical"] for row in records)
    told = [row["warnings"].split(",") if row["warnings"] else [] for row in records]
    for verdict in (Verdict.ACCEPTED, Verdict.REPAIRED, Verdict.WARNED):
        assert trial.verdicts.rows.get(verdict, 0) == sum(verdict_of(codes) is verdict for codes in told)
    assert trial.verdicts == staged.verdicts
    assert trial.professions == Counter(row["profession"] for row in records if row["profession"])
    codes = Counter(code for row in records for code in (row["warnings"] or "").split(",") if code)
    assert {**trial.warnings, **trial.repairs} == codes


def test_it_stores_nothing(look, intake, write, folder: Path) -> None:
    before, files = intake.snapshot(), sorted(folder.rglob("*"))
    trial = look(write(rows_of("viamedis-insured", GOOD, NAMELESS)), "viamedis-insured")
    assert trial.rows == 2
    assert intake.snapshot() == before
    assert {path.name for path in set(folder.rglob("*")) - set(files)} <= {"campaign.db-wal", "campaign.db-shm"}


def test_a_row_is_told_as_it_is_understood(look, write) -> None:
    trial = look(write(rows_of("viamedis-insured", GOOD, WRONG_KEY, NAMELESS)), "viamedis-insured")
    good, wrong, nobody = trial.first
    assert (good.line, good.verdict, good.codes, good.sender) == (2, Verdict.ACCEPTED, (), "clairval")
    assert good.numbers == {"nir": "ok"}
    assert good.values["birth_date"] == "1955-08-02"
    assert "viamedis:nir" in good.exposures.split(",")
    assert (wrong.verdict, wrong.codes, wrong.numbers) == (Verdict.WARNED, ("nir_key",), {"nir": "nir_key"})
    assert (nobody.verdict, nobody.codes, nobody.column) == (Verdict.REJECTED, ("nir_missing",), "NIR")
    assert trial.columns[0] == ("NIR", "nir")
    assert trial.absent == ("categories", "member_number")


def test_a_name_that_no_sender_has_is_counted(vault, settings, folder: Path, now, write) -> None:
    only = settings.senders[0].model_copy(update={"names": ("Mutuelle Clairval",)})
    settings = settings.model_copy(update={"senders": (only,)})
    strange = GOOD.replace("MUTUELLE CLAIRVAL", "Mutuelle d'Ailleurs")
    path = write(rows_of("viamedis-insured", GOOD, strange, strange))
    trial = try_out(vault, settings, folder, path, "viamedis-insured", incident=None, most=None, shown=10, now=now)
    assert trial.unknown_names == {"Mutuelle d'Ailleurs": 2}
    assert trial.senders == {"clairval": 1}
    assert [row.sender for row in trial.first] == ["clairval", "", ""]


@pytest.mark.parametrize("most", [1, 2, 3, 4, 5])
def test_it_stops_where_it_was_told(most: int, look, write) -> None:
    broken = "one;cell;too;few"
    path = write(rows_of("viamedis-insured", GOOD, broken, GOOD, NAMELESS, GOOD))
    trial = look(path, "viamedis-insured", most=most, shown=2)
    assert (trial.rows, trial.whole) == (most, most == 5)
    assert [row.line for row in trial.first] == [2, 3][:most]
    expected = [Verdict.ACCEPTED, Verdict.REJECTED, Verdict.ACCEPTED, Verdict.REJECTED, Verdict.ACCEPTED][:most]
    assert trial.verdicts.rows == Counter(expected)


def test_no_nir_and_no_account_is_shown_wherever_it_stands(look, write) -> None:
    iban, nir = "FR1420041010050500013M02606", "255081416802538"
    shifted = f"{nir};;{nir};{RIB};{nir};{nir};{nir};{nir};{iban}"
    row = f"{iban};2 55 08 14 168 025 38;A;Pharmacien;{nir}@a.example;{nir};{RIB};75001;{nir};{iban};{RIB};{nir};{nir}"
    insured = look(write(rows_of("viamedis-insured", GOOD, shifted)), "viamedis-insured")
    professional = look(write(rows_of("viamedis-professional", row)), "viamedis-professional")
    assert [each.numbers["rib"] for each in professional.first] == ["present"]
    for trial in (insured, professional):
        assert not any({"nir", "nir_key", "rib"} & set(each.values) for each in trial.first)
        shown = json.dumps([dict(each.values) for each in trial.first]) + json.dumps(trial.as_json())
        plain = shown.replace(" ", "")
        for secret in (nir, nir[:13], RIB.replace(" ", ""), iban):
            assert secret not in plain


def test_its_json_holds_no_value_of_a_row(look) -> None:
    for profile, name in SAMPLES.items():
        trial = look(shipped("data") / "samples" / name, profile, shown=1000)
        told = json.dumps(trial.as_json(), ensure_ascii=False)
        assert "values" not in told
        for row in trial.first:
            for role in {"name", "forename", "email", "contract", "birth_date", "company"} & set(row.values):
                assert f'"{row.values[role]}"' not in told


def test_what_a_terminal_obeys_is_not_shown(look, write) -> None:
    row = GOOD.replace("Équilibre 1", "Form\x1b[2Jule\u202e")
    (shown,) = look(write(rows_of("viamedis-insured", row)), "viamedis-insured").first
    assert shown.values["guarantees"] == "Form\ufffd[2Jule\ufffd"


def test_its_errors_are_those_of_the_intake(look, write, folder: Path) -> None:
    with pytest.raises(ExportError, match="unknown column SURPRISE"):
        look(write(HEADINGS["viamedis-insured"] + ";SURPRISE\n" + GOOD + ";x\n"), "viamedis-insured")
    with pytest.raises(ExportError, match="headings and no rows"):
        look(write(HEADINGS["viamedis-insured"] + "\n"), "viamedis-insured")
    with pytest.raises(SettingsError, match="there is no profile 'nosuch'"):
        look(write(rows_of("viamedis-insured", GOOD)), "nosuch")
    own = folder / "data" / "profiles"
    own.mkdir(parents=True)
    text = (shipped("data") / "profiles" / "viamedis-insured.toml").read_text(encoding="utf-8")
    (own / "blank.toml").write_text(text.replace('incident = "viamedis"', 'incident = ""'), encoding="utf-8")
    path = write(rows_of("viamedis-insured", GOOD))
    with pytest.raises(SettingsError, match="--incident"):
        look(path, "blank")
    assert look(path, "blank", incident="almerys").incident == "almerys"


def test_a_column_that_the_profile_ignores_is_not_read(look, write, folder: Path) -> None:
    own = folder / "data" / "profiles"
    own.mkdir(parents=True)
    text = (shipped("data") / "profiles" / "viamedis-insured.toml").read_text(encoding="utf-8")
    (own / "wider.toml").write_text('ignored = ["Montant"]\n' + text, encoding="utf-8")
    trial = look(write(HEADINGS["viamedis-insured"] + ";MONTANT\n" + GOOD + ";12,50\n"), "wider")
    assert trial.verdicts.rows == {Verdict.ACCEPTED: 1}
    assert trial.columns[-1] == ("MONTANT", "")
    assert "12,50" not in trial.first[0].values.values()
    (own / "wider.toml").write_text('ignored = ["N.I.R."]\n' + text, encoding="utf-8")
    with pytest.raises(SettingsError, match="stands for a role"):
        look(write(rows_of("viamedis-insured", GOOD)), "wider")


def test_the_trial_of_a_directory_says_what_cannot_be_used(look, write) -> None:
    row = (
        "A1;2550814168025;99;00/08/1955;1;LEFEVRE;ANNE;MME;A;aucun@aucun;1 rue X;;75001;PARIS;C1;fr;actif;"
        "MUTUELLE CLAIRVAL"
    )
    gone = row.replace("actif", "parti")
    trial = look(write(rows_of("directory", row, gone)), "directory")
    assert trial.first[0].codes == ("nir_key", "birth_partial", "email_placeholder")
    assert trial.rejections == {("STATUT", "status_unknown"): 1}
    assert trial.exposures == {}


def test_intake_after_it_is_a_first_intake(look, intake, write) -> None:
    path = write(rows_of("viamedis-insured", GOOD))
    look(path, "viamedis-insured")
    assert asyncio.run(intake._stage(path, "viamedis-insured", None, None)).records == 1
