"""truth.jsonl against what can be read from the files alone.

``Reader`` below is a second opinion: it reads the exports and the directory as an insurer would, makes persons of
rows, matches them by the ladder of DESIGN 7 by looking at every member born on the same day, and decides whom to tell
where. It shares no code with the drill's truth nor with the rooms that do this for real.
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import fastexcel
import pytest

from notifier.campaign import shipped
from notifier.drill.exports import make_exports
from notifier.drill.truth import TruthLine, expected_messages, read_truth

Owed = tuple[str, tuple[str, ...], str, str, str, str]  # audience, exposures, route, email, told, excluded


def plain(text: str) -> str:
    text = text.replace("œ", "oe").replace("Œ", "OE")
    letters = "".join(letter for letter in unicodedata.normalize("NFD", text) if letter.isalnum() or letter in " -'’")
    return re.sub(r"[ '’-]+", " ", letters).upper().strip()


def day(text: str) -> str:
    if "/" in text:
        return "-".join(reversed(text.split("/")))
    return text


def checked_nir(text: str, key: str) -> str:
    """13 characters, or "" when they cannot be trusted."""
    if len(text) == 15:
        text, key = text[:13], text[13:]
    if len(text) != 13 or not re.fullmatch(r"[12]\d{4}(\d\d|2A|2B)\d{6}", text):
        return ""
    number = int(text.replace("2A", "19").replace("2B", "18"))
    return text if not key or int(key) + number % 97 == 97 else ""


@dataclass
class Record:
    nir: str
    birth: str
    forename: str
    name: str
    contract: str
    rank: str
    exposures: set[str]


@dataclass
class Reader:
    """All that a drill's files say."""

    folder: Path
    records: list[Record] = field(default_factory=list)
    rejected: int = 0

    def csv_rows(self, name: str, encoding: str) -> list[dict[str, str]]:
        text = (self.folder / name).read_bytes().decode(encoding)
        return list(csv.DictReader(io.StringIO(text, newline=""), delimiter=";", strict=True))

    def read_insured(self) -> dict[tuple[str, ...], list[Record]]:
        always = ["birth_date", "civil_status", "contract", "insurer", "nir"]
        for row in self.csv_rows("viamedis-insured.csv", "cp1252"):
            number, rank = checked_nir(row["NIR"], row["CLE"]), row["RANG"]
            exposed = {f"viamedis:{code}" for code in [*always, "guarantees", *["birth_rank"] * bool(rank)]}
            self.records.append(
                Record(
                    number,
                    day(row["DATE_NAISSANCE"]),
                    plain(row["PRENOM"]),
                    plain(row["NOM"]),
                    row["NUM_CONTRAT"],
                    rank,
                    exposed,
                )
            )
        for row in self.csv_rows("almerys-insured.csv", "utf-8-sig"):
            number, rank = checked_nir(row["N° de sécurité sociale"].replace(" ", ""), ""), row["Rang"]
            exposed = {f"almerys:{code}" for code in [*always, *["birth_rank"] * bool(rank)]}
            contract = re.sub("[ -]", "", row["Référence contrat"])
            self.records.append(
                Record(
                    number,
                    day(row["Date de naissance"]),
                    plain(row["Prénom"]),
                    plain(row["Nom"]),
                    contract,
                    rank,
                    exposed,
                )
            )
        persons: dict[tuple[str, ...], list[Record]] = defaultdict(list)
        for record in self.records:
            if record.nir and record.birth:
                persons[record.nir, record.birth, record.forename].append(record)
            elif record.contract and record.birth:
                persons[record.contract, record.birth, record.forename, record.name].append(record)
            else:
                self.rejected += 1
        return persons

    def insured(self) -> tuple[Counter[Owed], Counter[str]]:
        persons = self.read_insured()
        members = self.csv_rows("directory.csv", "utf-8")
        born: dict[str, list[dict[str, str]]] = defaultdict(list)
        holders: dict[str, dict[str, str]] = {}
        for member in members:
            born[day(member["DATE_NAISSANCE"])].append(member)
            if member["LIEN"] == "A" and member["STATUT"] == "actif":
                assert holders.setdefault(member["NUM_CONTRAT"], member) is member, "two holders of one contract"
        owed: Counter[Owed] = Counter()
        messages: Counter[str] = Counter()
        told_of_children: set[str] = set()
        matched: Counter[str] = Counter()
        for records in persons.values():
            exposures = tuple(sorted(set().union(*(record.exposures for record in records))))
            member = match(records, born[records[0].birth])
            if member is None:
                owed["insured", exposures, "none", "", "own", ""] += 1
                continue
            matched[member["NUM_ADHERENT"]] += 1
            audience = "insured" if member["LIEN"] == "A" else "dependant"
            if member["STATUT"] == "décédé":
                owed[audience, exposures, "none", "", "own", "deceased"] += 1
                continue
            if member["STATUT"] == "radié":
                audience = "past_member"
            is_minor = member["LIEN"] == "E" and int(records[0].birth[:4]) > 2006
            assert not 2001 <= int(records[0].birth[:4]) <= 2018, "an age that a later run would judge otherwise"
            reader = holders[member["NUM_CONTRAT"]] if is_minor else member
            route = "email" if reader["EMAIL"] else "post" if reader["ADRESSE1"] else "none"
            email = reader["EMAIL"]
            owed[audience, exposures, route, email, "holder" if is_minor else "own", ""] += 1
            if email and not (is_minor and member["NUM_CONTRAT"] in told_of_children):
                messages[email] += 1
            if is_minor:
                told_of_children.add(member["NUM_CONTRAT"])
        assert max(matched.values()) == 1, "one member is two persons"
        return owed, messages

    def professionals(self) -> tuple[Counter[Owed], Counter[str]]:
        always = ["company_name", "name", "email", "phone", "postal_address", "siret", "finess"]
        headings = {"viamedis": ("EMAIL", "LOGIN"), "almerys": ("Courriel", "Identifiant")}
        exposures: dict[tuple[str, str], set[str]] = defaultdict(set)
        mailbox: dict[tuple[str, str], str] = {}
        for operator, (email, login) in headings.items():
            sheet = fastexcel.read_excel(self.folder / f"{operator}-professional.xlsx").load_sheet(0, dtypes="string")
            for row in sheet.to_polars().iter_rows(named=True):
                person = (row["SIRET"].replace(" ", ""), row["FINESS"])
                codes = [*always, *["portal_login"] * bool(row[login]), *["rib"] * bool(row["RIB"])]
                exposures[person].update(f"{operator}:{code}" for code in codes)
                assert mailbox.setdefault(person, row[email] or "") == (row[email] or "")
        at = Counter(mailbox.values())
        owed: Counter[Owed] = Counter()
        for person, exposed in exposures.items():
            email = mailbox[person]
            told = "establishments" if email and at[email] > 1 else "own"
            owed["professional", tuple(sorted(exposed)), "email" if email else "post", email, told, ""] += 1
        return owed, Counter(email for email in at if email)


def match(records: list[Record], same_day: list[dict[str, str]]) -> dict[str, str] | None:
    """The ladder: the first rung that finds anybody decides, and must find one."""

    def nir_of(member: dict[str, str]) -> str:
        return checked_nir(member["NIR"], member["CLE"])

    def on_rank(record: Record, member: dict[str, str]) -> bool:
        same = record.nir and record.rank and (record.nir, record.rank) == (nir_of(member), member["RANG"])
        return bool(same) and record.forename == plain(member["PRENOM"])

    def on_forename(record: Record, member: dict[str, str]) -> bool:
        return bool(record.nir) and (record.nir, record.forename) == (nir_of(member), plain(member["PRENOM"]))

    def on_contract(record: Record, member: dict[str, str]) -> bool:
        contract = member["NUM_CONTRAT"].replace("-", "")
        return bool(record.contract) and (record.contract, record.name) == (contract, plain(member["NOM"]))

    for rung in (on_rank, on_forename, on_contract):
        found = [member for member in same_day if any(rung(record, member) for record in records)]
        assert len(found) <= 1, f"{rung.__name__} is ambiguous"
        if found:
            return found[0]
    return None


def of_truth(lines: list[TruthLine]) -> Counter[Owed]:
    return Counter((line.audience, line.exposures, line.route, line.email, line.told, line.excluded) for line in lines)


@pytest.fixture(params=["drill", "samples", "another seed"])
def folder(request: pytest.FixtureRequest, drill: Path, tmp_path: Path) -> Path:
    if request.param == "samples":
        return shipped("data") / "samples"
    if request.param == "another seed":
        make_exports(tmp_path, insured=3001, professionals=317, seed=99)
        return tmp_path
    return drill


def test_what_the_files_say_is_what_the_truth_says(folder: Path) -> None:
    reader = Reader(folder)
    insured, messages = reader.insured()
    professionals, more = reader.professionals()
    lines = list(read_truth(folder / "truth.jsonl"))
    assert of_truth([line for line in lines if line.audience != "professional"]) == insured
    assert of_truth([line for line in lines if line.audience == "professional"]) == professionals
    assert expected_messages(lines) == messages + more


def test_unusable_rows_belong_to_nobody(drill: Path) -> None:
    reader = Reader(drill)
    reader.read_insured()
    assert reader.rejected == 3


def test_homonyms_are_told_apart(drill: Path) -> None:
    """Same name, forename and birth date, different NIR and contract: also where one of them is not our member."""
    namesakes: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    for record in (reader := Reader(drill)).read_insured() and reader.records:
        if record.nir:
            namesakes[record.name, record.forename, record.birth].add(record.nir)
    pairs = [group for group in namesakes.values() if len(group) == 2]
    assert len(pairs) >= 10
    homonyms = [line for line in read_truth(drill / "truth.jsonl") if line.case == "homonym"]
    assert {"email", "none"} <= {line.route for line in homonyms}


def test_a_case_is_what_it_is_called(drill: Path) -> None:
    """(audiences, routes, told, excluded) that the persons of a case have between them."""
    dependant, insured, professional = {"dependant"}, {"insured"}, {"professional"}
    expected = {
        "unmatched": (insured, {"none"}, {"own"}, {""}),
        "unreachable": (insured | dependant, {"none"}, {"own", "holder"}, {""}),
        "no_mailbox": (insured | dependant, {"post"}, {"own", "holder"}, {""}),
        "deceased": (insured | dependant, {"none"}, {"own"}, {"deceased"}),
        "past_member": ({"past_member"}, {"email", "post"}, {"own"}, {""}),
        "adult_child": (dependant, {"email", "post"}, {"own"}, {""}),
        "minor": (dependant, {"email"}, {"holder"}, {""}),
        "holder_not_affected": (dependant, {"email", "post"}, {"holder"}, {""}),
        "twins_ranked": (dependant, {"email"}, {"holder"}, {""}),
        "twins_same_rank": (dependant, {"email"}, {"holder"}, {""}),
        "shared_mailbox": (dependant, {"email"}, {"own"}, {""}),
        "spouse_under_holder_nir": (dependant, {"email", "post"}, {"own"}, {""}),
        "partial_birth_date": (insured, {"email"}, {"own"}, {""}),
        "wrong_nir_key": (insured | dependant, {"email"}, {"own", "holder"}, {""}),
        "repeated_row": (insured, {"email"}, {"own"}, {""}),
        "also_professional": (insured | professional, {"email"}, {"own"}, {""}),
        "professional_no_mailbox": (professional, {"post"}, {"own"}, {""}),
        "establishments": (professional, {"email"}, {"establishments"}, {""}),
    }
    lines = list(read_truth(drill / "truth.jsonl"))
    for case, (audiences, routes, told, excluded) in expected.items():
        of_case = [line for line in lines if line.case == case]
        assert {line.audience for line in of_case} == audiences, case
        assert {line.route for line in of_case} == routes, case
        assert {line.told for line in of_case} == told, case
        assert {line.excluded for line in of_case} == excluded, case


def test_the_cases_that_only_files_show(drill: Path) -> None:
    reader = Reader(drill)
    persons = reader.read_insured()
    partial = {record.birth[4:] for record in reader.records if "-00" in record.birth}
    assert "-00-00" in partial and any(not text.startswith("-00") for text in partial)
    seen: Counter[tuple[bool, bool]] = Counter()
    repeated = 0
    for records in persons.values():
        operators = [record.exposures & {"viamedis:nir", "almerys:nir"} for record in records]
        seen[{"viamedis:nir"} in operators, {"almerys:nir"} in operators] += 1
        repeated += len(records) > len({frozenset(operator) for operator in operators})
    assert seen[True, True] > 300 and seen[True, False] > 300 and seen[False, True] > 300
    assert repeated == sum(line.case == "repeated_row" for line in read_truth(drill / "truth.jsonl"))


def test_somebody_is_insured_and_a_professional_at_one_mailbox(drill: Path) -> None:
    lines = list(read_truth(drill / "truth.jsonl"))
    both = {line.email for line in lines if line.case == "also_professional" and line.audience == "insured"}
    as_professional = {
        line.email for line in lines if line.case == "also_professional" and line.audience == "professional"
    }
    assert both and both == as_professional
    assert all(expected_messages(lines)[email] == 2 for email in both)


def line(told: str, household: str, email: str = "a@courriel.example", route: str = "email") -> TruthLine:
    return TruthLine("I1", "dependant", (), route, email, told, household, "minor", "")


@pytest.mark.parametrize(
    ("lines", "count"),
    [
        ([line("own", ""), line("own", "")], 2),  # a couple at one mailbox
        ([line("own", ""), line("holder", "H1"), line("holder", "H1")], 2),  # a parent of two children
        ([line("holder", "H1"), line("holder", "H2")], 2),  # two contracts are two households
        ([line("establishments", "P1"), line("establishments", "P1")], 1),
        ([line("own", "", route="post"), line("holder", "H1", route="none")], 0),
    ],
)
def test_expected_messages(lines: list[TruthLine], count: int) -> None:
    assert expected_messages(lines)["a@courriel.example"] == count
