"""A campaign's own texts are rehearsed, to own addresses; its persons, key and database are not opened (I2, I8)."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import trustme

from notifier.campaign import Settings, load
from notifier.errors import OperatorError
from notifier.exercise.commands import own_environment
from notifier.exercise.course import Course, Order
from notifier.exercise.drill import read_recipients, run_drill
from notifier.exercise.logbook import Logbook, StepTaken
from notifier.exercise.projection import project
from notifier.exercise.report import blanks
from notifier.exercise.settings import copy_texts, drill_settings
from tests.exercise.conftest import Operator
from tests.stories.conftest import Sink

pytestmark = pytest.mark.thorough

OWN = ("exercice-1@mutuelle-clairval.fr", "exercice-2@mutuelle-clairval.fr")
NOW = datetime(2024, 2, 9, 9, 0, tzinfo=ZoneInfo("Europe/Paris"))
POLICIES = {"adult_dependants": "letter", "doubt": "hold"}


@pytest.fixture
def source(folder: Path) -> Path:
    """A campaign with a text of its own, and nothing in it that could be opened."""
    own = folder / "templates" / "fr" / "insured"
    own.mkdir(parents=True)
    shipped = Path(__file__).parents[2] / "templates" / "fr" / "insured" / "nir.md"
    (own / "nir.md").write_text(shipped.read_text("utf-8").replace("compte ameli", "compte ameli.example"), "utf-8")
    (folder / "campaign.key").unlink()
    (folder / "campaign.db").write_bytes(b"not to be opened")
    return folder


def test_i2_i8_every_message_of_a_campaign_s_drill_goes_to_an_own_address(
    source,
    tmp_path,
    sink: Sink,
    monkeypatch,
):
    monkeypatch.setenv("NOTIFIER_RELAY__PORT", str(sink.port))
    # A file of the campaign's relay, which the drill finds from its own folder.
    (source / "ca.pem").write_bytes(trustme.CA().cert_pem.bytes())
    path = source / "campaign.toml"
    path.write_text(path.read_text("utf-8").replace("[relay]", '[relay]\nca_file = "ca.pem"', 1), "utf-8")
    order = Order(tmp_path / "exercice", insured=20, professionals=0, seed=5, recipients=OWN, source=source, by="x")
    with pytest.raises(KeyboardInterrupt):  # what follows sending is looked at elsewhere
        run_drill(order, ask=None, say=lambda _: None, start=Operator(cut_at="status"))
    assert len(sink.accepted) > 8
    assert set(sink.mailboxes) == set(OWN)
    texts = [message.get_body(("plain",)).get_content() for _, message in sink.messages()]
    assert all(text.startswith("EXERCICE") for text in texts)
    assert any("ameli.example" in text for text in texts)
    assert (source / "campaign.db").read_bytes() == b"not to be opened"


def test_a_drill_s_settings_are_a_campaign_s_without_its_key_and_database(settings: Settings, tmp_path: Path):
    text = drill_settings(settings, settings, sender="clairval", policies=POLICIES, recipients=OWN, sink_port=None)
    (tmp_path / "campaign.toml").write_text(text, "utf-8")
    drill = load(tmp_path, environment={})
    assert drill.drill is not None
    assert drill.drill.recipients == OWN
    assert drill.campaign.name.startswith("EXERCICE")
    assert (str(drill.key.path), drill.database) == ("campaign.key", "sqlite:///campaign.db")
    assert drill.incidents == settings.incidents
    assert drill.relay == settings.relay
    assert (drill.households.adult_dependants, drill.doubt.policy) == ("letter", "hold")
    tomllib.loads(text)


def test_what_the_campaign_has_not_filled_in_is_the_sample_s(settings: Settings, tmp_path: Path):
    blank = settings.model_copy(update={"incidents": (), "senders": ()})
    text = drill_settings(blank, settings, sender="clairval", policies=POLICIES, recipients=(), sink_port=2600)
    (tmp_path / "campaign.toml").write_text(text, "utf-8")
    drill = load(tmp_path, environment={})
    assert [incident.code for incident in drill.incidents] == ["viamedis", "almerys"]
    assert (drill.relay.host, drill.relay.port) == ("127.0.0.1", 2600)


def test_the_invented_exports_belong_to_the_campaign_s_incidents(tmp_path: Path):
    copy_texts(None, tmp_path, ["breach-1"])
    profiles = sorted((tmp_path / "data" / "profiles").glob("*.toml"))
    assert len(profiles) == 4
    assert all(tomllib.loads(path.read_text("utf-8"))["incident"] == "breach-1" for path in profiles)


def test_a_no_ends_the_drill_before_the_command(tmp_path: Path):
    order = Order(tmp_path / "x", insured=20, professionals=0, seed=1)
    book = Logbook.open(order.folder, order.options())
    for name in ("files", "init", "intake viamedis-insured", "intake almerys-insured", "directory", "review",
                 "preview", "check", "kit"):  # fmt: skip
        book.add_step(StepTaken(name, name, "", 0))
    book.add_step(StepTaken("plan", "plan", "", 0, {"notifications": 7}))
    operator, asked = Operator(), []

    def ask(question: str, choices: object, default: str) -> str:
        asked.append(question)
        return "non"

    assert not Course(order, book, ask=ask, say=lambda _: None, start=operator).run()
    assert operator.typed == []
    assert "7 notifications" in asked[0]
    assert [step.name for step in book.steps if step.error] == ["approve"]
    assert not Logbook.open(order.folder, order.options()).finished


def test_the_operator_s_own_settings_do_not_reach_a_drill(monkeypatch):
    for name in ("NOTIFIER_KEY", "NOTIFIER_CAMPAIGN", "NOTIFIER_DATABASE", "NOTIFIER_RELAY__HOST"):
        monkeypatch.setenv(name, "x")
    assert not [name for name in own_environment(with_relay=False) if name.startswith("NOTIFIER_")]
    named = [name for name in own_environment(with_relay=True) if name.startswith("NOTIFIER_")]
    assert named == ["NOTIFIER_RELAY__HOST"]


@pytest.mark.parametrize(("text", "told"), [
    ("", "0 addresses"), ("# nobody\n", "0 addresses"), ("a@b.fr\nnot an address\n", "line 2"),
    ("a@b.fr, c@d.fr\n", "line 1"),
])  # fmt: skip
def test_i8_a_list_of_own_addresses_that_cannot_be_used_is_told_without_its_values(tmp_path, text, told):
    path = tmp_path / "own.txt"
    path.write_text(text)
    with pytest.raises(OperatorError, match=told) as error:
        read_recipients(path)
    assert "@" not in str(error.value)


def test_a_list_of_own_addresses(tmp_path):
    path = tmp_path / "own.txt"
    path.write_text("\ufeffa@b.fr  # first\n\n# c@d.fr\nc@d.fr\na@b.fr\n", encoding="utf-8")
    assert read_recipients(path) == ("a@b.fr", "c@d.fr")


def test_the_projected_end_keeps_hours_and_caps(settings: Settings):
    def end(**pace) -> str:
        paced = settings.model_copy(update={"pace": settings.pace.model_copy(update=pace)})
        made = project(paced, persons=10_000, share=1.0, measured_per_second=1, start=NOW)
        return f"{made.end:%d %H:%M} {made.narrowed_by}"

    assert end() == "09 11:46 mesuré"
    assert end(hotline_per_hour=1000) == "09 18:16 pace.hotline_per_hour", "of each hour the first 1,000 seconds"
    assert end(hours="08:00-10:00") == "10 09:46 mesuré"
    assert end(hotline_per_day=4000) == "11 00:33 mesuré"
    assert end(warm_up=(1000, 2000)) == "11 01:56 mesuré"


def test_a_campaign_without_blanks_would_not_have_been_stopped(settings: Settings):
    whole = settings.model_copy(
        update={
            "campaign": settings.campaign.model_copy(update={"notify_by": NOW.date()}),
            "pace": settings.pace.model_copy(update={"hours": "08:00-20:00", "hotline_per_hour": 10}),
            "senders": tuple(
                each.model_copy(update={"from_address": "information@mutuelle-clairval.fr"})
                for each in settings.senders
            ),
        }
    )
    assert blanks(whole, NOW) == []
    assert [each["where"] for each in blanks(whole, NOW.replace(year=2025))] == ["campaign.notify_by"]


def test_a_drill_cannot_change_what_it_rehearses(tmp_path: Path):
    order = Order(tmp_path / "x", insured=20, professionals=0, seed=1)
    Logbook.open(order.folder, order.options())
    with pytest.raises(OperatorError, match="another sender"):
        Logbook.open(order.folder, replace(order, sender="autre").options())
