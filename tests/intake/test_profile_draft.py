"""`profile draft`: each shipped layout is recognised well enough to be read alike, and no value leaves the file."""

from __future__ import annotations

import csv
import gzip
import re
import tomllib
from datetime import date
from pathlib import Path

import pytest

from notifier.campaign import shipped
from notifier.errors import ExportError
from notifier.intake.drafts import FAMILIES, draft
from notifier.intake.profiles import ROLES, Profile
from notifier.intake.trials import try_out

from .test_profile_check import SAMPLES

TODAY = date(2024, 2, 9)
NOWHERE = Path("/nonexistent")


def drafted(path: Path, family: str | None = None):
    return draft(NOWHERE, path, family=family, today=TODAY)


@pytest.mark.parametrize("profile", SAMPLES)
def test_a_draft_reads_the_sample_like_the_shipped_profile(profile, vault, settings, folder: Path, now) -> None:
    path = shipped("data") / "samples" / SAMPLES[profile]
    own = folder / "data" / "profiles"
    own.mkdir(parents=True)
    (own / "drafted.toml").write_text(drafted(path).text, encoding="utf-8")
    incident = None if profile == "directory" else profile.partition("-")[0]
    options = {"most": None, "shown": 10_000, "now": now}
    by_draft = try_out(vault, settings, folder, path, "drafted", incident=incident, **options)
    shipped_one = try_out(vault, settings, folder, path, profile, incident=None, **options)
    assert [row.as_json() for row in by_draft.first] == [row.as_json() for row in shipped_one.first]
    assert len(by_draft.first) == by_draft.rows > 20
    assert by_draft.columns == shipped_one.columns
    assert by_draft.exposures == shipped_one.exposures


@pytest.mark.parametrize("profile", SAMPLES)
def test_a_draft_leaves_the_incident_blank_and_holds_no_value(profile) -> None:
    path = shipped("data") / "samples" / SAMPLES[profile]
    text = drafted(path).text
    assert tomllib.loads(text).get("incident", "") == ""
    assert ("TO FILL IN" in text) == (profile != "directory")
    if path.suffix != ".csv":
        return
    encoding = "cp1252" if profile == "viamedis-insured" else "utf-8-sig"
    rows = list(csv.reader(path.read_text(encoding=encoding).splitlines(), delimiter=";"))
    shipped_words = (shipped("data") / "profiles" / f"{profile}.toml").read_text(encoding="utf-8").casefold()
    values = {cell for row in rows[1:] for cell in row if len(cell) > 3 and cell.casefold() not in shipped_words}
    assert len(values) > 200
    assert not [value for value in values if value in text]


def unknown_layout(tmp_path: Path, headings: str, *, rows: int = 12) -> Path:
    """The directory's sample under other headings, NIR and its key, birth date, e-mail and postcode among them."""
    sample = shipped("data") / "samples" / "directory.csv"
    with sample.open(encoding="utf-8", newline="") as file:
        people = [row for row in csv.DictReader(file, delimiter=";") if row["EMAIL"]][:rows]
    columns = ("NIR", "CLE", "DATE_NAISSANCE", "NOM", "PRENOM", "EMAIL", "CODE_POSTAL", "VILLE")
    lines = [headings, *(",".join(row[column] for column in columns) for row in people)]
    path = tmp_path / "unknown.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def roles(path: Path, family: str | None = None) -> dict[str, tuple[str, str]]:
    return {each.column.heading: (each.role, each.certainty.value) for each in drafted(path, family).guesses}


def test_what_no_heading_says_the_cells_do(tmp_path: Path) -> None:
    path = unknown_layout(tmp_path, "zorg,zick,geburt,nom beneficiaire,prenom_assure,kontakt,cp,zuhause")
    assert roles(path, "directory") == {
        "zorg": ("nir", "guess"),
        "zick": ("nir_key", "sure"),
        "geburt": ("birth_date", "guess"),
        "nom beneficiaire": ("name", "likely"),
        "prenom_assure": ("forename", "likely"),
        "kontakt": ("email", "guess"),
        "cp": ("postcode", "sure"),
        "zuhause": ("", "not recognised"),
    }
    made = drafted(path, "directory")
    assert [each.column.heading for each in made.left] == ["zuhause"]
    assert '#   "zuhause",' in made.text
    profile = Profile.model_validate(tomllib.loads(made.text.replace("# ignored = [", "ignored = [").replace(
        '#   "zuhause"', '   "zuhause"').replace("# ]", "]")))  # fmt: skip
    assert profile.ignored == ("zuhause",)


def test_headings_of_which_no_word_is_known(tmp_path: Path) -> None:
    found = roles(unknown_layout(tmp_path, "a,b,c,d,e,f,g,h"), "directory")
    assert {heading: role for heading, (role, _) in found.items() if role} == {
        "a": "nir", "b": "nir_key", "c": "birth_date", "f": "email", "g": "postcode",
    }  # fmt: skip


def test_a_heading_that_its_cells_belie_is_said_to_be_doubtful(tmp_path: Path) -> None:
    path = unknown_layout(tmp_path, "NOM,CLE,DATE_NAISSANCE,NIR,PRENOM,EMAIL,CP,VILLE")
    (doubtful,) = (each for each in drafted(path, "directory").guesses if each.column.heading == "NIR")
    assert doubtful.certainty != "sure"
    assert "BUT only 0 %" in doubtful.why


def test_matricule_is_what_its_cells_are(tmp_path: Path) -> None:
    nirs = unknown_layout(tmp_path, "matricule,CLE,DATE_NAISSANCE,NOM,PRENOM,EMAIL,CP,VILLE")
    assert roles(nirs, "directory")["matricule"] == ("nir", "likely")
    numbers = tmp_path / "numbers.csv"
    numbers.write_text("Matricule;Nom;Prénom;DDN\n" + "".join(f"M{n};A;B;0{n}/02/1980\n" for n in range(1, 9)))
    assert roles(numbers)["Matricule"][0] == "member_number"


def test_two_columns_with_one_meaning_and_one_without_heading(tmp_path: Path) -> None:
    path = tmp_path / "doubled.csv"
    path.write_text("NIR;Nom;NOM;Prénom;;Mail\n" + "255081416802538;A;B;C;D;\n" * 4, encoding="utf-8")
    text = drafted(path, "insured").text
    assert "Column 3 has a heading that another column has too" in text
    assert "Column 5 has no heading and 4 sampled cells" in text


def test_lines_of_data_are_never_taken_for_headings(tmp_path: Path) -> None:
    path = tmp_path / "headless.csv"
    path.write_text("255081416802538;LEFEVRE;ANNE;02/08/1955\n" * 5 + "x;y;z;\n", encoding="utf-8")
    with pytest.raises(ExportError, match="no line of headings") as caught:
        drafted(path)
    assert "LEFEVRE" not in str(caught.value)


def test_an_unknown_heading_cannot_break_the_draft_nor_bring_a_number_into_it(tmp_path: Path) -> None:
    path = tmp_path / "hostile.csv"
    strange = '"x""]\nkind = ""directory"" #\x7f\x9b\u202e"'
    path.write_text(f"NIR;NOM;PRENOM;DDN;{strange}\n" + "255081416802538;A;B;02/08/1955;v\n" * 4, encoding="utf-8")
    text = drafted(path).text
    assert tomllib.loads(text)["kind"] == "export"
    assert not [letter for letter in text if letter != "\n" and not letter.isprintable()]
    assert "255081416802538" not in text


def test_a_dated_heading_is_one_and_the_encoding_may_be_said(tmp_path: Path) -> None:
    path = tmp_path / "dated.csv"
    rows = "255081416802538;A;B;02/08/1955;v\n" * 4
    path.write_text(f"NIR;NOM;PRENOM;Né le;Situation au 31/12/2023\n{rows}", encoding="cp850")
    made = draft(NOWHERE, path, family=None, today=TODAY, encoding="cp850")
    assert tomllib.loads(made.text)["encoding"] == "cp850"
    assert made.guesses[3].role == "birth_date"
    assert [each.column.heading for each in made.left] == ["Situation au 31/12/2023"]
    with pytest.raises(ExportError, match="is not one of"):
        draft(NOWHERE, path, family=None, today=TODAY, encoding="latin-martian")


def test_a_workbook_packed_in_an_archive_is_drafted_alike(tmp_path: Path) -> None:
    path = shipped("data") / "samples" / "almerys-professional.xlsx"
    packed = tmp_path / "packed.xlsx.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert drafted(packed).text == drafted(path).text


@pytest.mark.parametrize("family", FAMILIES)
def test_the_kind_that_was_asked_for_is_the_one_drafted(family: str, tmp_path: Path) -> None:
    path = shipped("data") / "samples" / "directory.csv"
    made = drafted(path, family)
    profile = Profile.model_validate(tomllib.loads(made.text))
    assert (profile.kind, profile.person) == FAMILIES[family]
    assert made.family == family


def test_the_document_tells_every_role_and_its_example_is_a_profile() -> None:
    document = (Path(__file__).parents[2] / "docs" / "profiles.md").read_text(encoding="utf-8")
    example = document.partition("```toml\n")[2].partition("```")[0]
    profile = Profile.model_validate(tomllib.loads(example))
    assert profile.ignored == ("SOLDE", "AGENCE")
    told = set(re.findall(r"`([a-z_0-9]+)`", document.partition("## The roles")[2]))
    assert set().union(*ROLES.values()) <= told
