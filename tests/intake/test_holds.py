"""Files that are held: for names that no sender has, for too many rejections. Nothing of their rows is kept."""

from __future__ import annotations

import asyncio
import json
import stat
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from notifier import app as wiring
from notifier.app import App, add_sender_names, free_held, held_files, standing, take_directories, take_exports
from notifier.campaign import load
from notifier.errors import ExportError, OperatorError, SettingsError
from notifier.intake import holds
from notifier.intake.custody import Custody
from notifier.intake.sender_names import proposed, sort_out, with_names
from notifier.notices.approval import findings
from notifier.proof.verify import verify

from .conftest import GOOD, HEADINGS, rows_of

pytestmark = pytest.mark.thorough

PROFILE = "viamedis-insured"
FORENAMES = [f"{first}{second}" for first in "ABCDEFGHIJ" for second in "ABCDEFGHIJ"]
MEMBER = "A{0};;;02/08/1955;1;LEFEVRE;{0};;A;{0}@courriel.example;1 rue des Lilas;;00000;Clairval;C{0};fr;actif;{1}"


def row(number: int, sender: str = "Mutuelle Clairval", *, bad: bool = False) -> str:
    born = "" if bad else "02/08/1955"
    return f"2550814168025;38;LEFEVRE;{FORENAMES[number]};{born};1;{sender};CT{number:04d};E"


@pytest.fixture
def desk(intake, two_named) -> Desk:
    return Desk(intake)


@pytest.fixture
def two_named(folder: Path) -> None:
    """Two mutuelles that are named, and none that takes any name."""
    path = folder / "campaign.toml"
    said = path.read_text(encoding="utf-8")
    first = said[said.index("[[senders]]") :]
    second = first.replace('code = "clairval"', 'code = "montfleury"').replace('["*"]', '["Mutuelle Montfleury"]')
    path.write_text(said.replace('names = ["*"]', 'names = ["Mutuelle Clairval"]') + "\n" + second, encoding="utf-8")


class Desk:
    """The intake as the command line wires it."""

    def __init__(self, intake) -> None:
        self.intake = intake

    def run(self, work) -> Any:
        """``await work(app)`` in an open campaign."""

        async def opened() -> Any:
            async with self.intake.opened() as database:
                settings = load(self.intake.folder, environment={})
                return await work(App(self.intake.folder, settings, self.intake.vault, database, "marie"))

        return asyncio.run(opened())

    def take(self, path: Path, **options: Any):
        async def work(app: App):
            profile = options.pop("profile", PROFILE)
            incident = options.pop("incident", None)
            taken = take_exports(app, [path], profile=profile, incident=incident, **options)
            [one] = [each async for each in taken]
            return one

        return self.run(work)

    def directory(self, path: Path, **options: Any):
        async def work(app: App):
            taken = take_directories(app, [path], profile="directory", **({"as_of": None} | options))
            [one] = [each async for each in taken]
            return one

        return self.run(work)

    def add(self, code: str, *names: str):
        """Names added, and what was freed."""

        async def work(app: App):
            changed, said = await add_sender_names(app, code, names)
            return said, [each async for each in free_held(changed)]

        return self.run(work)

    def held(self):
        return self.run(held_files)

    def entries(self, kind: str) -> list[dict]:
        found = self.intake.query(f"SELECT subject, body FROM entries WHERE kind = '{kind}' ORDER BY id")
        return [json.loads(each["body"])["facts"] | {"subject": each["subject"]} for each in found]

    def contents(self) -> dict[str, list[dict]]:
        tables = ("persons", "records", "contacts", "rejections", "imports", "held_names")
        return {table: self.intake.query(f"SELECT * FROM {table}") for table in tables}

    def states(self) -> list[str]:
        return [each["state"] for each in self.intake.query("SELECT state FROM imports ORDER BY id")]

    def proven(self) -> dict[str, Any]:
        out = self.intake.folder / "proof.zip"

        async def work(app: App) -> None:
            await wiring.seal(app, reason="test")
            await wiring.export_proof(app, out, overwrite=True)

        self.run(work)
        verdict = verify(out, fingerprint=self.intake.vault.fingerprint)
        assert verdict.ok, verdict
        import zipfile

        with zipfile.ZipFile(out) as pack:
            return json.loads(pack.read("summary.json"))


def unknown(write) -> Path:
    rows = [row(0), row(1, "Mut. Inconnue"), row(2, "MUT INCONNUE"), row(3, "Autre Mutuelle"), row(4, bad=True)]
    return write(rows_of(PROFILE, *rows))


# -- held for its senders --------------------------------------------------------------------------------------------


def test_I1_unknown_names_hold_the_file_and_nothing_of_its_rows_is_kept(write, desk) -> None:
    path = unknown(write)
    taken = desk.take(path, custody=Custody("2024-02-08", "Viamedis, SFTP", 5))
    held = taken.held
    assert (taken.rows, taken.records, taken.rejections, taken.persons_new) == (0, 0, 0, 0)
    assert (held.reason, held.rows, held.records, held.rejections) == ("senders", 5, 4, 1)
    assert held.names == {"Mut. Inconnue": 2, "Autre Mutuelle": 1}
    assert held.headline().startswith("2 unknown names, 5 rows")
    there = desk.contents()
    assert [len(there[table]) for table in ("persons", "records", "contacts", "rejections")] == [0, 0, 0, 0]
    [stored] = there["imports"]
    assert (stored["state"], stored["held_reason"], stored["rows_read"]) == ("held", "senders", 5)
    assert (stored["received_from"], stored["expected_rows"]) == ("Viamedis, SFTP", 5)
    assert [each["rows"] for each in there["held_names"]] == [2, 1]
    assert not list((desk.intake.folder / "rejections").glob("*"))
    assert not list(desk.intake.folder.glob("*-intake"))
    assert desk.entries("import_held") == [
        {"kind": "export", "profile": PROFILE, "incident": "viamedis", "reason": "senders", "rows": 5, "names": 2,
         "rejections": 1, "subject": taken.sha256},
    ]  # fmt: skip
    assert desk.entries("import_completed") == []


def test_I8_the_names_of_a_held_file_are_sealed(write, desk) -> None:
    desk.take(unknown(write))
    files = [path.read_bytes() for path in desk.intake.folder.glob("campaign.db*")]
    assert not any(name in content for content in files for name in (b"Inconnue", b"INCONNUE", b"Autre Mut"))
    assert [list(each.names) for each in desk.held()] == [["Mut. Inconnue", "Autre Mutuelle"]]


def test_I8_a_shifted_column_leaves_no_number_and_no_address(write, desk) -> None:
    """Neither sealed with the hold, nor in campaign.toml when somebody takes them all for names."""
    shifted = ("2 55 08 14 168 025 38", "1850578006084", "20041 01005 0500013M026 06", "anne@courriel.example")
    held = desk.take(write(rows_of(PROFILE, *(row(at, cell) for at, cell in enumerate(shifted))))).held
    [again] = desk.held()
    assert held.names == again.names == {"<number>": 3, "<recipient>": 1}
    before = (desk.intake.folder / "campaign.toml").read_bytes()
    for names in (tuple(held.names), shifted[:1], shifted[3:]):
        with pytest.raises(SettingsError, match="another one, or the columns are shifted"):
            desk.add("clairval", *names)
    assert (desk.intake.folder / "campaign.toml").read_bytes() == before


def test_holding_again_changes_nothing_and_says_nothing_new(write, desk) -> None:
    path = unknown(write)
    first = desk.take(path).held
    again = desk.take(path).held
    assert (again.sha256, again.names) == (first.sha256, first.names)
    assert desk.states() == ["held"]
    assert len(desk.intake.query("SELECT * FROM held_names")) == 2
    assert len(desk.entries("import_held")) == 1


def test_a_row_that_is_rejected_anyway_needs_no_sender(write, desk) -> None:
    path = write(rows_of(PROFILE, row(0), row(1, "Total", bad=True)))
    taken = desk.take(path)
    assert (taken.held, taken.records, taken.rejections) == (None, 1, 1)


def test_a_sender_that_takes_any_name_holds_nothing(write, desk) -> None:
    campaign = desk.intake.folder / "campaign.toml"
    campaign.write_text(campaign.read_text().replace('["Mutuelle Montfleury"]', '["*"]'))
    taken = desk.take(unknown(write))
    assert (taken.held, taken.records) == (None, 4)


def test_I8_more_names_than_mutuelles_are_a_wrong_column_and_none_is_quoted(write, desk) -> None:
    rows = (f"2550814168025;38;LEFEVRE;ANNE;02/08/1955;1;Nom {number};CT{number};E" for number in range(1001))
    with pytest.raises(ExportError, match="more than 1000 different names") as error:
        desk.take(write(rows_of(PROFILE, *rows)))
    assert "Nom " not in str(error.value)
    assert desk.states() == []


def test_a_name_shaped_like_a_number_is_not_shown() -> None:
    assert holds.shown_name("2 55 08 14 168 025 38") == "<number>"
    assert holds.shown_name(" - ") == "(blank)"


def test_a_crash_before_the_hold_leaves_nothing(write, desk) -> None:
    """The entry cannot be written: neither can the hold."""
    desk.intake.execute(
        "CREATE TRIGGER stop BEFORE INSERT ON entries WHEN NEW.kind = 'import_held' "
        "BEGIN SELECT RAISE(ABORT, 'disk is full'); END"
    )
    path = unknown(write)
    with pytest.raises(Exception, match="disk is full"):
        desk.take(path)
    assert desk.states() == []
    desk.intake.execute("DROP TRIGGER stop")
    assert desk.take(path).held.rows == 5


# -- and freed -------------------------------------------------------------------------------------------------------


def test_names_free_the_file_with_all_that_was_said_of_it(write, desk) -> None:
    path = unknown(write)
    said = Custody("2024-02-08", "Viamedis, SFTP", 5)
    sha256 = desk.take(path, incident="almerys", custody=said).sha256
    added, freed = desk.add("clairval", "mut inconnue")
    assert (added.added, freed) == (("mut inconnue",), [])
    assert [list(each.names) for each in desk.held()] == [["Autre Mutuelle"]]
    _, [freed] = desk.add("montfleury", "AUTRE-MUTUELLE", "Autre Mutuelle")
    assert (freed.problem, freed.taken.rows, freed.taken.records, freed.taken.rejections) == ("", 5, 4, 1)
    assert desk.held() == []
    assert desk.states() == ["complete"]
    assert desk.intake.query("SELECT * FROM held_names") == []
    persons = desk.intake.query("SELECT sender, COUNT(*) AS n FROM persons GROUP BY sender ORDER BY sender")
    assert [(each["sender"], each["n"]) for each in persons] == [("clairval", 3), ("montfleury", 1)]
    [entry] = desk.entries("import_completed")
    assert (entry["incident"], entry["received_from"], entry["expected_rows"]) == ("almerys", "Viamedis, SFTP", True)
    assert entry["subject"] == sha256
    assert [(each["sender"], each["names"], each["by"]) for each in desk.entries("sender_names_added")] == [
        ("clairval", ["mut inconnue"], "marie"), ("montfleury", ["AUTRE-MUTUELLE"], "marie"),
    ]  # fmt: skip
    assert desk.proven()["bridge"]["rows"] == 5


def test_a_directory_is_held_and_freed_too(write, desk) -> None:
    from datetime import date

    path = write(rows_of("directory", MEMBER.format("ANNE", "Mutuelle Clairval"), MEMBER.format("LUC", "Inconnue")))
    held = desk.directory(path, as_of=date(2024, 2, 1)).held
    assert (held.kind, held.as_of, held.names) == ("directory", "2024-02-01", {"Inconnue": 1})
    assert desk.intake.query("SELECT * FROM contacts") == []
    _, [freed] = desk.add("clairval", "Inconnue")
    assert freed.taken.records == 2
    found = desk.intake.query("SELECT DISTINCT as_of, current FROM contacts")
    assert [(each["as_of"], each["current"]) for each in found] == [("2024-02-01", 1)]


def test_cells_without_a_name_can_be_given_to_somebody(write, desk) -> None:
    path = write(rows_of(PROFILE, row(0), row(1, "")))
    assert list(desk.take(path).held.names) == [""]
    _, [freed] = desk.add("montfleury", "-")
    assert freed.taken.records == 2


@pytest.mark.parametrize("change", ["gone", "other bytes"])
def test_a_file_that_is_not_there_any_more_is_asked_for(write, desk, change: str) -> None:
    path = unknown(write)
    sha256 = desk.take(path, custody=Custody(received_from="Viamedis & Cie")).sha256
    if change == "gone":
        path.unlink()
    else:
        path.write_text(rows_of(PROFILE, row(0)))
    _, [freed] = desk.add("clairval", "Mut. Inconnue", "Autre Mutuelle")
    assert freed.taken is None
    assert "there is no file" in freed.problem if change == "gone" else "is another file now" in freed.problem
    assert freed.command == (
        f"notifier intake FILE --profile {PROFILE} --incident viamedis --received-from 'Viamedis & Cie' "
        f"--expect-sha256 {sha256}"
    )
    assert desk.states() == ["held"]
    assert "take it in again" in desk.held()[0].headline()


def test_the_same_bytes_from_elsewhere_end_the_hold_and_keep_what_was_said(write, desk, tmp_path) -> None:
    path = unknown(write)
    desk.take(path, custody=Custody(received_from="Viamedis"))
    copy = tmp_path / "copy.csv"
    path.rename(copy)
    desk.add("clairval", "Mut. Inconnue", "Autre Mutuelle")
    assert desk.take(copy).records == 4
    assert desk.states() == ["complete"]
    assert desk.entries("import_completed")[0]["received_from"] == "Viamedis"


def test_a_hold_is_withdrawn(write, desk) -> None:
    sha256 = desk.take(unknown(write)).sha256
    held = desk.run(lambda app: wiring.undo_hold(app, sha256[:8].upper()))
    assert held.sha256 == sha256
    assert desk.held() == []
    assert desk.states() == ["undone"]
    assert desk.intake.query("SELECT * FROM held_names") == []
    assert [(each["reason"], each["by"]) for each in desk.entries("hold_withdrawn")] == [("senders", "marie")]
    assert desk.run(lambda app: wiring.undo_hold(app, sha256)) is None
    desk.proven()


# -- the names in campaign.toml --------------------------------------------------------------------------------------


def test_comments_layout_and_mode_stay(desk) -> None:
    path = desk.intake.folder / "campaign.toml"
    path.chmod(0o640)
    before = path.read_text(encoding="utf-8")
    desk.add("clairval", "Mut. d'Ailleurs", 'dite "X"')
    after = path.read_text(encoding="utf-8")
    changed = [(old, new) for old, new in zip(before.splitlines(), after.splitlines(), strict=True) if old != new]
    assert len(changed) == 1
    assert changed[0][1].startswith('names = ["Mutuelle Clairval", "Mut. d\'Ailleurs", "dite \\"X\\""]')
    assert changed[0][1].endswith('# how exports write this sender; "*" = any')
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert load(path.parent, environment={}).sender("clairval").names[1:] == ("Mut. d'Ailleurs", 'dite "X"')
    assert [each.name for each in path.parent.glob("*campaign.toml*")] == ["campaign.toml"]


def test_a_link_to_campaign_toml_stays_a_link(desk, tmp_path) -> None:
    link, target = desk.intake.folder / "campaign.toml", tmp_path / "kept.toml"
    link.rename(target)
    link.symlink_to(target)
    desk.add("clairval", "Nouvelle")
    assert link.is_symlink()
    assert "Nouvelle" in target.read_text(encoding="utf-8")


def test_names_of_somebody_else_and_no_names_are_refused(desk) -> None:
    before = (desk.intake.folder / "campaign.toml").read_bytes()
    for code, name, says in (
        ("montfleury", "MUTUELLE clairval", "is a name of the sender clairval already"),
        ("nobody", "X", "no \\[\\[senders\\]\\] has the code 'nobody'"),
        ("clairval", "*", "by hand"),
        ("clairval", "A\x07B", "one line"),
    ):
        with pytest.raises(SettingsError, match=says):
            desk.add(code, "Nouvelle", name)
    assert (desk.intake.folder / "campaign.toml").read_bytes() == before
    assert desk.entries("sender_names_added") == []


def test_a_name_that_is_there_is_no_change(desk) -> None:
    before = (desk.intake.folder / "campaign.toml").read_bytes()
    added, _ = desk.add("clairval", "mutuelle  CLAIRVAL")
    assert (added.added, added.already) == ((), ("mutuelle CLAIRVAL",))
    assert (desk.intake.folder / "campaign.toml").read_bytes() == before
    assert desk.entries("sender_names_added") == []


def test_the_old_file_stays_until_the_entry_is_there(desk) -> None:
    path = desk.intake.folder / "campaign.toml"
    before = path.read_bytes()
    desk.intake.execute("CREATE TRIGGER stop BEFORE INSERT ON entries BEGIN SELECT RAISE(ABORT, 'disk is full'); END")
    with pytest.raises(Exception, match="disk is full"):
        desk.add("clairval", "Nouvelle")
    assert path.read_bytes() == before
    assert [each.name for each in path.parent.glob("*campaign.toml*")] == ["campaign.toml"]


def test_inline_senders_and_long_lists_are_added_to(desk) -> None:
    said = 'senders = [\n  { code = "a", names = [\n    "X",  # first\n  ] },\n]\n'
    assert '"Y"' in with_names(said, "a", ["Y"])
    assert "# first" in with_names(said, "a", ["Y"])
    settings = load(desk.intake.folder, environment={})
    assert sort_out(settings, "clairval", ["N", "n.", "Mutuelle Clairval"]).already == ("n.", "Mutuelle Clairval")


def test_a_result_that_does_not_load_never_takes_its_place(desk, monkeypatch) -> None:
    """campaign.toml was broken by hand while the command ran: what is beside it is checked, not what was read."""
    path = desk.intake.folder / "campaign.toml"
    with proposed(path.parent, "clairval", ["Nouvelle"]) as change:
        assert "Nouvelle" in change.beside.read_text(encoding="utf-8")
        assert "Nouvelle" not in path.read_text(encoding="utf-8")
    path.write_text(path.read_text(encoding="utf-8").replace("[relay]", "[relai]"), encoding="utf-8")
    before = path.read_bytes()
    with pytest.raises(SettingsError, match="relai"), proposed(path.parent, "clairval", ["Nouvelle"]):
        pass
    assert path.read_bytes() == before


# -- too many rejections ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "rejections", "limit", "held"),
    [(20, 1, 0.05, False), (20, 2, 0.05, True), (19, 19, 0.05, False), (100, 5, 0.05, False), (100, 6, 0.05, True),
     (20, 1, 0.0, True), (20, 0, 0.0, False), (20, 20, 1.0, False)],
)  # fmt: skip
def test_the_share_that_holds(rows: int, rejections: int, limit: float, held: bool) -> None:
    assert (holds.reason_to_hold({}, rows, rejections, limit) == "rejections") is held
    assert holds.reason_to_hold({"X": 1}, rows, rejections, limit) == "senders"


def bad(write) -> Path:
    return write(rows_of(PROFILE, *(row(number, bad=number % 10 == 0) for number in range(30))))


def test_I1_too_many_rejections_hold_the_file_until_they_are_accepted(write, desk) -> None:
    path = bad(write)
    for _ in range(2):
        taken = desk.take(path)
        assert (taken.held.reason, taken.held.rows, taken.held.rejections, taken.rows) == ("rejections", 30, 3, 0)
        assert taken.rejections_file.read_text(encoding="utf-8-sig").count("birth_missing") == 3
        there = desk.contents()
        assert [len(there[table]) for table in ("persons", "records", "rejections")] == [0, 0, 0]
        assert not list(desk.intake.folder.glob("*-intake"))
    assert len(desk.entries("import_held")) == 1
    taken = desk.take(path, accept_rejections=True)
    assert (taken.held, taken.records, taken.rejections) == (None, 27, 3)
    [stored] = desk.intake.query("SELECT * FROM imports")
    assert (stored["state"], stored["accepted_by"]) == ("complete", "marie")
    assert desk.entries("import_completed")[0]["accepted_rejections"] is True
    assert desk.take(path).already
    desk.proven()


def test_accepting_where_nothing_is_to_be_accepted_leaves_no_name(write, desk) -> None:
    desk.take(write(rows_of(PROFILE, *(row(number) for number in range(30)))), accept_rejections=True)
    assert [each["accepted_by"] for each in desk.intake.query("SELECT accepted_by FROM imports")] == [""]
    assert desk.entries("import_completed")[0]["accepted_rejections"] is False


def test_the_limit_is_a_setting(write, desk) -> None:
    path = bad(write)
    campaign = desk.intake.folder / "campaign.toml"
    campaign.write_text(campaign.read_text().replace("rejections_limit = 0.05", "rejections_limit = 0.1"))
    assert desk.take(path).held is None


def test_a_corrected_profile_of_another_name_ends_the_hold(write, desk) -> None:
    """Read with the wrong profile, every row is rejected."""
    shop = ";;;;;;;;;;;12345;"
    headings = HEADINGS["viamedis-professional"]
    path = write("\n".join([headings, *[shop] * 20]) + "\n")
    campaign = desk.intake.folder / "campaign.toml"
    campaign.write_text(campaign.read_text().replace('["Mutuelle Clairval"]', '["Mutuelle Clairval", "Viamedis"]'))
    assert desk.take(path, profile="viamedis-professional").held.reason == "rejections"
    own = desk.intake.folder / "data" / "profiles"
    own.mkdir(parents=True)
    shipped = (Path(__file__).parents[2] / "data" / "profiles" / "viamedis-professional.toml").read_text("utf-8")
    (own / "mine.toml").write_text(
        shipped.replace('"RAISON_SOCIALE"', '"SIRET "').replace('siret = ["SIRET', 'siret = ["RAISON_SOCIALE')
    )
    taken = desk.take(path, profile="mine", accept_rejections=True)
    assert taken.held is None
    assert desk.states() == ["complete"]


# -- what the others say ---------------------------------------------------------------------------------------------


def test_status_and_checks_speak_of_held_files(write, desk) -> None:
    sha256 = desk.take(unknown(write)).sha256
    desk.take(bad(write))

    async def work(app: App):
        return await standing(app), await findings(
            app.database, app.settings, app.folder, wave="initial", now=desk.intake.now
        )

    stands, found = desk.run(work)
    told = stands.as_json()["held"]
    assert [(each["reason"], each["names"], each["rows"]) for each in told] == [
        ("senders", 2, 5),
        ("rejections", 0, 30),
    ]
    assert "Inconnue" not in json.dumps(stands.as_json()) + "\n".join(stands.lines())
    assert sum("is held" in line for line in stands.decisions()) == 2
    assert stands.next_step() == "senders list"
    warnings = [each for each in found if each.code == "file-held"]
    assert [each.severity for each in warnings] == ["warning", "warning"]
    assert warnings[0].where == f"file {sha256[:12]}"
    assert "5 rows are held" in warnings[0].text


# -- the same bytes, read anew ---------------------------------------------------------------------------------------


def own_profile(desk: Desk, *changes: tuple[str, str]) -> None:
    own = desk.intake.folder / "data" / "profiles"
    own.mkdir(parents=True, exist_ok=True)
    said = (Path(__file__).parents[2] / "data" / "profiles" / f"{PROFILE}.toml").read_text("utf-8")
    for old, new in changes:
        assert old in said
        said = said.replace(old, new)
    (own / f"{PROFILE}.toml").write_text(said, encoding="utf-8")


WITHOUT_CONTRACT = ('"guarantees", "contract"]', '"guarantees"]')


def test_I1_a_corrected_profile_replaces_the_reading(write, desk) -> None:
    path = write(rows_of(PROFILE, row(0), row(1), row(2, bad=True)))
    first = desk.take(path)
    ids = [each["id"] for each in desk.intake.query("SELECT id FROM persons ORDER BY id")]
    own_profile(desk, WITHOUT_CONTRACT)
    again = desk.take(path)
    assert (again.already, again.replaced, again.records, again.rejections) == (False, 1, 2, 1)
    assert again.sha256 == first.sha256
    assert desk.states() == ["undone", "complete"]
    assert len(desk.intake.query("SELECT * FROM records")) == 2
    assert len(desk.intake.query("SELECT * FROM rejections")) == 1
    # Who is in both readings is the same person, with what was decided about it.
    assert [each["id"] for each in desk.intake.query("SELECT id FROM persons ORDER BY id")] == ids
    exposures = desk.intake.query(
        "SELECT DISTINCT canonical FROM persons p JOIN exposure_sets e ON e.id = p.exposure_set_id"
    )
    assert ["contract" in each["canonical"] for each in exposures] == [False]
    assert len(desk.entries("import_undone")) == 1
    assert [each["replaces"] for each in desk.entries("import_completed")] == [0, 1]
    assert again.rejections_file.exists()
    summary = desk.proven()
    assert (summary["bridge"]["rows"], len(summary["sources"])) == (3, 1)
    assert desk.take(path).already


def test_the_fields_of_a_person_are_those_of_the_new_reading(write, desk) -> None:
    """The name of an insured person is no part of its identity: a profile that took it from another column is not seen
    in who is who."""
    two = f"{row(0)};DUVAL\n{row(0)};X\n{row(1)};MOREL"
    path = write(HEADINGS[PROFILE] + ";AUTRE_NOM\n" + two + "\n")
    own_profile(desk, ("[columns]", 'ignored = ["AUTRE_NOM"]\n[columns]'))
    desk.take(path)
    own_profile(desk, ('name = ["NOM", ', 'name = ["AUTRE_NOM", '), ("[columns]", 'ignored = ["NOM"]\n[columns]'))
    before = desk.intake.query("SELECT id, identity FROM persons ORDER BY id")
    assert desk.take(path).replaced == 1
    persons = desk.intake.query("SELECT id, identity, sealed FROM persons ORDER BY id")
    assert [(each["id"], each["identity"]) for each in persons] == [(each["id"], each["identity"]) for each in before]
    names = [desk.intake.vault.unseal("person", each["identity"], each["sealed"])["name"] for each in persons]
    assert sorted(names) == ["DUVAL", "MOREL"]


def test_a_comment_in_the_profile_is_no_other_reading(write, desk) -> None:
    path = write(rows_of(PROFILE, row(0)))
    desk.take(path)
    own_profile(desk, ("[columns]", "# checked by us\n[columns]"))
    assert desk.take(path).already


def test_the_same_layout_under_another_name_is_no_other_reading(write, desk) -> None:
    path = write(rows_of(PROFILE, row(0)))
    desk.take(path)
    own_profile(desk)
    (desk.intake.folder / "data" / "profiles" / f"{PROFILE}.toml").rename(
        desk.intake.folder / "data" / "profiles" / "mine.toml"
    )
    assert desk.take(path, profile="mine").already
    assert desk.take(path, profile="mine", incident="almerys").replaced == 1


def test_more_names_do_not_make_complete_files_look_new(write, desk) -> None:
    path = write(rows_of(PROFILE, row(0), row(1, "Mutuelle Montfleury")))
    desk.take(path)
    desk.add("clairval", "Une autre", "Encore une")
    assert desk.take(path).already


def test_a_name_that_changes_hands_reads_the_file_anew(write, desk) -> None:
    path = write(rows_of(PROFILE, row(0), row(1, "Mutuelle Montfleury")))
    desk.take(path)
    campaign = desk.intake.folder / "campaign.toml"
    said = campaign.read_text().replace('["Mutuelle Clairval"]', '["Mutuelle Clairval", "Mutuelle Montfleury"]')
    campaign.write_text(said.replace('["Mutuelle Montfleury"]', '["Montfleury SA"]'))
    assert desk.take(path).replaced == 1
    senders = desk.intake.query("SELECT sender FROM persons")
    assert {each["sender"] for each in senders} == {"clairval"}


def test_a_new_name_beside_a_sender_that_takes_any_may_be_in_the_file(write, desk) -> None:
    campaign = desk.intake.folder / "campaign.toml"
    campaign.write_text(campaign.read_text().replace('["Mutuelle Montfleury"]', '["*"]'))
    path = write(rows_of(PROFILE, row(0), row(1, "Inconnue")))
    assert desk.take(path).records == 2
    desk.add("montfleury", "Quelque nom")  # of the one who had it already
    assert desk.take(path).already
    desk.add("clairval", "Inconnue")
    assert desk.take(path).replaced == 1
    assert {each["sender"] for each in desk.intake.query("SELECT sender FROM persons")} == {"clairval"}


def test_another_day_of_a_directory_is_told_and_changes_nothing(write, desk) -> None:
    from datetime import date

    path = write(rows_of("directory", MEMBER.format("ANNE", "Mutuelle Clairval")))
    desk.directory(path, as_of=date(2024, 2, 1))
    before = desk.contents()
    assert desk.directory(path).other_day is None
    assert desk.directory(path, as_of=date(2024, 2, 1)).other_day is None
    again = desk.directory(path, as_of=date(2024, 1, 1))
    assert (again.already, again.other_day) == (True, "2024-02-01")
    assert desk.contents() == before


def test_I1_a_directory_read_anew_replaces_its_members(write, desk) -> None:
    path = write(rows_of("directory", MEMBER.format("ANNE", "Mutuelle Clairval")))
    own = desk.intake.folder / "data" / "profiles"
    own.mkdir(parents=True)
    said = (Path(__file__).parents[2] / "data" / "profiles" / "directory.toml").read_text("utf-8")
    assert '"actif"' in said
    assert '"radié"' in said
    (own / "directory.toml").write_text(
        said.replace('"actif"', '"x"').replace('"radié"', '"actif"').replace('"x"', '"radié"'), encoding="utf-8"
    )
    desk.take(write(rows_of(PROFILE, row(0))))
    desk.directory(path)
    [before] = desk.intake.query("SELECT * FROM contacts")
    (own / "directory.toml").unlink()
    assert desk.directory(path).replaced == 1
    [after] = desk.intake.query("SELECT * FROM contacts")
    assert (before["status"], after["status"], after["current"]) == ("ended", "active", 1)
    assert desk.states() == ["complete", "undone", "complete"]
    desk.proven()


def test_I1_a_reading_that_informs_somebody_is_not_replaced(write, desk) -> None:
    path = write(rows_of(PROFILE, row(0), row(1)))
    desk.take(path)
    desk.run(lambda app: wiring.plan_wave(app, "initial"))

    async def approve(app: App) -> None:
        async with app.database.write() as connection:
            await connection.execute(
                text(
                    "INSERT INTO batches (wave_id, number, digest, bound, notifications, approved_by, approved_ms) "
                    "SELECT id, 1, '', '{}', 0, 'dpo', 0 FROM waves"
                )
            )
            await connection.execute(text("UPDATE notifications SET batch_id = (SELECT MAX(id) FROM batches)"))

    desk.run(approve)
    own_profile(desk, WITHOUT_CONTRACT)
    before = desk.contents()
    with pytest.raises(OperatorError, match=r"persons in it are approved.*nothing was changed"):
        desk.take(path)
    assert desk.contents() == before
    assert not list(desk.intake.folder.glob("*-intake"))


def test_I5_a_failure_while_replacing_leaves_the_earlier_reading(write, desk) -> None:
    path = write(rows_of(PROFILE, row(0), row(1)))
    desk.take(path)
    own_profile(desk, WITHOUT_CONTRACT)
    tables = ("persons", "records", "contacts", "rejections")
    before = {table: desk.contents()[table] for table in tables}
    desk.intake.execute(
        "CREATE TRIGGER stop BEFORE INSERT ON entries WHEN NEW.kind = 'import_completed' "
        "BEGIN SELECT RAISE(ABORT, 'disk is full'); END"
    )
    with pytest.raises(Exception, match="disk is full"):
        desk.take(path)
    assert {table: desk.contents()[table] for table in tables} == before
    assert desk.states()[0] == "complete"
    desk.intake.execute("DROP TRIGGER stop")
    assert desk.take(path).replaced == 1
    desk.proven()


def test_a_new_reading_that_is_held_leaves_the_earlier_one(write, desk) -> None:
    path = write(rows_of(PROFILE, row(0), row(1, "Mutuelle Montfleury")))
    desk.take(path)
    campaign = desk.intake.folder / "campaign.toml"
    campaign.write_text(campaign.read_text().replace('["Mutuelle Montfleury"]', '["Montfleury SA"]'))
    assert list(desk.take(path).held.names) == ["Mutuelle Montfleury"]
    assert desk.states() == ["complete", "held"]
    assert len(desk.intake.query("SELECT * FROM persons")) == 2
    _, [freed] = desk.add("clairval", "Mutuelle Montfleury")
    assert freed.taken.replaced == 1
    assert desk.states() == ["undone", "complete"]
    desk.proven()


def test_a_workbook_keeps_one_reading_for_each_profile(desk, tmp_path) -> None:
    import xlsxwriter

    def sheet(book, profile: str, *rows: str) -> None:
        page = book.add_worksheet()
        for number, line in enumerate((HEADINGS[profile], *rows)):
            page.write_row(number, 0, line.split(";"))

    path = tmp_path / "both.xlsx"
    book = xlsxwriter.Workbook(path)
    sheet(book, PROFILE, row(0), row(1))
    sheet(book, "almerys-insured", f"Lefèvre;Luc;1955-08-02;{GOOD[:13]}38;1;Mutuelle Clairval;CT9")
    book.close()
    desk.take(path)
    assert desk.take(path, profile="almerys-insured").replaced == 0
    own_profile(desk, WITHOUT_CONTRACT)
    assert desk.take(path).replaced == 1
    assert desk.states() == ["undone", "complete", "complete"]
    assert [each["profile"] for each in desk.proven()["sources"]] == ["almerys-insured", PROFILE]
