"""`notices list`, `preview` and `send --test-to` on the command line."""

from __future__ import annotations

import asyncio
import json
from email import message_from_bytes
from email.policy import default
from threading import Thread

import pytest

from notifier.campaign import shipped
from tests.delivery.rows import Rows
from tests.relay.server import Server, serving

pytestmark = pytest.mark.thorough

HELD = ("Vasseur", "Élodie", "vie.privee@courriel.example", "3 rue des Saules")


@pytest.fixture
def rows(folder, vault) -> Rows:
    return Rows(folder / "campaign.db", vault)


@pytest.fixture
def relay(monkeypatch):
    """A relay in a thread of its own, which the campaign's settings point to."""
    server, loop = Server(), asyncio.new_event_loop()
    up, down = asyncio.Event(), asyncio.Event()

    async def serve():
        async with serving(server):
            up.set()
            await down.wait()

    thread = Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    asyncio.run_coroutine_threadsafe(up.wait(), loop).result(10)
    monkeypatch.setenv("NOTIFIER_RELAY__PORT", str(server.port))
    yield server
    loop.call_soon_threadsafe(down.set)
    thread.join(10)
    loop.close()


def subjects(server):
    return [message_from_bytes(taken.data, policy=default)["Subject"] for taken in server.taken]


# -- notices list ----------------------------------------------------------------------------------------------------


def test_the_matrix_is_there_before_any_plan_and_fits_a_terminal(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    lines = run("notices", "list").output.splitlines()
    assert "Texts for rounds of kind initial: 0 notifications planned." in lines
    assert any(line.split() == ["nir", "-", "insured/nir.md"] for line in lines)
    assert max(map(len, lines)) <= 100 and max(len(line) for line in lines if line.startswith("  ")) <= 80
    body = json.loads(run("notices", "list", "--kind", "rectification", "--json").output)
    assert {cell["base"]["files"][0].split("/", 2)[2] for cell in body["cells"] if cell["base"]} == {
        "base/rectification.md"
    }


def test_exit_1_when_somebody_is_in_a_gap_and_the_campaigns_own_text_is_marked(run, rows, folder):
    rows.deliver("a@courriel.example", "b@courriel.example")
    own = folder / "templates" / "fr" / "insured" / "nir.md"
    own.parent.mkdir(parents=True)
    own.write_bytes((shipped("templates") / "fr" / "insured" / "nir.md").read_bytes())
    assert "2  insured/nir.md (own)" in run("notices", "list").output
    rules = (shipped("templates") / "catalogue.toml").read_text("utf-8")
    (folder / "templates" / "catalogue.toml").write_text(
        rules.replace('categories = ["nir"]', 'categories = ["rib"]'), encoding="utf-8"
    )
    output = run("notices", "list", expect=1).output
    assert "GAP: no paragraph" in output and "1 GAPS have notifications" in output
    body = json.loads(run("notices", "list", "--json", expect=1).output)
    (cell,) = [cell for cell in body["cells"] if cell["gap"] and cell["notifications"]]
    assert (cell["audience"], cell["category"], cell["notifications"], cell["paragraph"]) == ("insured", "nir", 2, None)
    assert body["blocking"] == 1 and "templates/catalogue.toml" in body["own"]


# -- preview ---------------------------------------------------------------------------------------------------------


def test_i8_no_value_of_a_real_person_gets_into_a_preview(run, rows, folder):
    rows.deliver(HELD[2], name=HELD[0], forename=HELD[1])
    rows.deliver("parent@courriel.example", form="children", children=("Zoé-Anaïs",))
    run("preview")
    files = sorted((folder / "preview").iterdir())
    assert len(files) == 7
    first = {path: path.read_bytes() for path in files}
    for path, content in first.items():
        # The message's own encodings undone, so that no value hides in one.
        texts = [content.decode()]
        if path.suffix == ".eml":
            message = message_from_bytes(content, policy=default)
            texts += [str(message.items()), *(part.get_content() for part in message.iter_parts())]
        for value in (*HELD, "parent@courriel.example", "Zoé-Anaïs"):
            assert not any(value.casefold() in text.casefold() for text in texts), (path.name, value)
    run("preview", "--json")
    assert {path: path.read_bytes() for path in files} == first, "running twice changes nothing"
    assert rows.all("SELECT * FROM clear_files") == []


# -- send --test-to --------------------------------------------------------------------------------------------------


def test_a_test_is_of_what_waits_for_approval(run, rows, relay, folder):
    """Not approved: the current texts, marked in the subject and on top of both bodies, made out to nobody real."""
    rows.deliver(HELD[2], name=HELD[0], forename=HELD[1], approved=False)
    rows.deliver("parent@courriel.example", form="children", children=("Zoé-Anaïs",), approved=False)
    body = json.loads(run("send", "--test-to", "dpo@mutuelle-clairval.example", "--json").output)
    assert (body["messages"], body["outcomes"], body["stopped"]) == (2, {"accepted": 2}, "")
    assert {taken.recipient for taken in relay.taken} == {"dpo@mutuelle-clairval.example"}
    assert all(subject.startswith("TEST – Mutuelle Clairval") for subject in subjects(relay))
    for taken in relay.taken:
        message = message_from_bytes(taken.data, policy=default)
        text, html = (part.get_content() for part in message.iter_parts())
        assert text.startswith("> TEST. Ce message est un essai.") and "Camille Exemple" in text
        assert html.index("Ce message est un essai.") < html.index("<h1")
        assert "TEST-initial" in message["Feedback-ID"]
        assert not any(value in text + html for value in (*HELD, "Zoé-Anaïs"))
    assert {entry["kind"] for entry in rows.entries()} == {"session_started", "test_sent"}
    assert rows.states() == {"queued": 2}
    output = run("send", "--test-to", "dpo@mutuelle-clairval.example").output
    assert "2 test messages, one of each segment of wave initial: 2 accepted." in output


def test_i7_a_test_of_what_is_approved_is_made_of_the_frozen_texts(run, rows, relay, folder):
    rows.deliver("a@courriel.example", approved=False)
    run("approve", "--yes")
    own = folder / "templates" / "fr" / "base" / "own.md"
    own.parent.mkdir(parents=True)
    text = (shipped("templates") / "fr" / "base" / "own.md").read_text("utf-8")
    own.write_text(text.replace("\n# ", "\nChangé depuis.\n\n# ", 1), encoding="utf-8")
    assert (
        "Made of approved texts: 1; of texts that wait for approval: 0."
        in run("send", "--test-to", "dpo@mutuelle-clairval.example").output
    )
    rows.deliver("b@courriel.example", segment=0, approved=False)  # the segment waits again: its next text is shown
    run("send", "--test-to", "dpo@mutuelle-clairval.example")
    first, second = (
        "".join(part.get_content() for part in message_from_bytes(taken.data, policy=default).iter_parts())
        for taken in relay.taken
    )
    assert "Changé depuis." not in first and "Changé depuis." in second


def test_what_a_test_refuses(run, rows, relay):
    to = "dpo@mutuelle-clairval.example"
    assert "nothing is planned" in run("send", "--test-to", to, expect=2).output
    rows.deliver("a@courriel.example")
    for words in (
        ["--test-to", to, "--test-to", "b@courriel.example"],
        ["--test-to", to, "--limit", "1"],
        ["--test-to", to, "--wait"],
        ["--test-to", to, "--dry-run"],
        ["--test-to", f"{to},b@courriel.example"],
        ["--test-to", "nobody"],
        ["--test-to", to, "--wave", "nosuch"],
    ):
        run("send", *words, expect=2)
    assert relay.sessions == 0


def test_no_answer_is_75_and_a_refusal_1(run, rows, relay, monkeypatch):
    from tests.relay.server import Act

    rows.deliver("a@courriel.example", approved=False)
    relay.on("dpo@mutuelle-clairval.example", Act("rcpt", "550 5.1.1 unknown"))
    assert "1 refused" in run("send", "--test-to", "dpo@mutuelle-clairval.example", expect=1).output
    monkeypatch.setenv("NOTIFIER_RELAY__PORT", "9")
    run("send", "--test-to", "dpo@mutuelle-clairval.example", expect=75)
