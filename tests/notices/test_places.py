"""Bad input is told at `check` and at `approve`, with the file and the line where to write: never at the last mail."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from notifier.campaign import load
from notifier.errors import OperatorError, SettingsError, TemplateError
from notifier.model import Audience, Exposure
from notifier.notices.approval import approve, findings
from notifier.notices.catalogue import Catalogue
from notifier.notices.findings import Finding
from notifier.notices.freshness import check_end
from notifier.notices.places import Places, places_of
from tests.delivery.keys import pem
from tests.notices.small import FRENCH, key_of, small_catalogue
from tests.notices.test_approval import plant

pytestmark = pytest.mark.thorough

AT = datetime(2024, 2, 9, 8, 0, tzinfo=UTC)
OWN, NIR, RULES = "templates/fr/own.md", "templates/fr/nir.md", "templates/catalogue.toml"


@pytest.fixture
def small(folder):
    """A campaign folder whose own templates stand in for all that ships."""
    small_catalogue(folder, *FRENCH, times=1)
    return folder


def edit(path, old: str, new: str, *, count: int = 1) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, count), encoding="utf-8")


def line_of(path, words: str) -> int:
    return next(at for at, row in enumerate(path.read_text(encoding="utf-8").split("\n"), 1) if words in row)


def told(opened, folder, keys=(), now: datetime = AT) -> list[Finding]:
    async def story() -> list[Finding]:
        async with opened() as database:
            if keys:
                async with database.write() as connection:
                    await plant(connection, keys, 1)
            settings = load(folder, environment={})
            return await findings(database, settings, folder, wave="initial", now=now)

    return asyncio.run(story())


def refusal(opened, vault, folder) -> str:
    """What `approve` says of what :func:`told` has planted."""

    async def story() -> None:
        async with opened() as database:
            settings = load(folder, environment={})
            await approve(database, vault, settings, folder, wave="initial", by="dpo", now=AT)

    with pytest.raises(OperatorError) as caught:
        asyncio.run(story())
    return str(caught.value)


BROKEN = [
    ("a variable that does not exist", OWN, "{{ person.name }} V", "{{ operator }} V", "template"),
    ("a block that is not closed", OWN, "{% endfor %}", "", "template"),
    ("a filter that does not exist", NIR, "# Consequence\n\n", "# Consequence\n\n{{ form | hurry }} ", "template"),
    ("a value that is never printed", NIR, "# Today\n\n", "# Today\n\n{{ person.nir }} ", "forbidden-field"),
    ("a link", NIR, "# Today\n\n", "# Today\n\nhttps://vol.example ", "link"),
    ("a heading that is unknown", NIR, "# Today", "# Tomorrow", "template"),
]


@pytest.mark.parametrize(("what", "path", "old", "new", "code"), BROKEN, ids=[each[0] for each in BROKEN])
def test_i7_a_broken_template_of_the_campaign_is_told_by_check_and_approve(
    opened, vault, small, what, path, old, new, code
):
    edit(small / path, old, new)
    found = [each for each in told(opened, small, [key_of()]) if each.code == code and each.severity == "error"]
    assert found, what
    rows = (small / path).read_text(encoding="utf-8").split("\n")
    for each in found:
        assert each.file == path
        assert 1 <= each.line <= len(rows)
        assert f"{path}, line {each.line}" in f"{each.place} {each.text}"
    if "{% endfor" not in old:
        mark = new.strip().split("\n")[-1][:12]
        assert any(mark in rows[each.line - 1] for each in found)
    said = refusal(opened, vault, small)
    assert f"{path}, line {found[0].line}" in said
    assert "nothing was frozen" in said


def test_a_category_without_a_paragraph_is_told_where_paragraphs_are(opened, vault, small):
    key = key_of()
    wide = replace(key, exposures=key.exposures | {Exposure("viamedis", "password")})
    [found] = [each for each in told(opened, small, [wide]) if each.code == "category"]
    assert (found.file, found.line) == (RULES, line_of(small / RULES, "[[paragraphs]]"))
    assert "password" in found.text
    assert f"{RULES}, line {found.line}" in refusal(opened, vault, small)


def test_a_paragraph_without_its_section_is_told_by_its_file(opened, small):
    edit(small / NIR, "# Actions", "# Forward")
    [found] = [each for each in told(opened, small, [key_of()]) if each.code == "template"]
    assert (found.file, found.line) == (NIR, 1)
    assert '"# Actions"' in found.text


def test_a_rule_without_its_file_is_told_where_it_names_it(opened, small):
    edit(small / RULES, 'file = "nir.md"', 'file = "nowhere.md"')
    [found] = [each for each in told(opened, small, [key_of()]) if each.code == "template"]
    assert (found.file, found.line) == (RULES, line_of(small / RULES, "nowhere.md"))


def test_an_include_that_is_not_there(opened, small):
    edit(small / OWN, "{% for", '{% include "parts/nowhere.md" %}\n{% for')
    found = [each for each in told(opened, small, [key_of()]) if each.code == "template"]
    assert [(each.file, each.line) for each in found] == [(OWN, line_of(small / OWN, "nowhere"))]


def test_what_a_notice_lacks_is_told_beside_its_like(opened, small):
    """The frame prints the reference and no contact: the line is that of what prints something of the sender."""
    found = {each.text.split(":")[0]: each for each in told(opened, small, [key_of()]) if each.code == "contact"}
    lacking = next(each for each in found.values() if "dpo_address" in each.text)
    assert (lacking.file, lacking.line) == (OWN, line_of(small / OWN, "sender.brand"))


def test_a_helpline_that_is_not_there_is_for_campaign_toml(opened, small):
    path = small / "campaign.toml"
    edit(path, "[senders.helplines.default]", "[senders.helplines.company]")
    [found] = [each for each in told(opened, small, [key_of()]) if each.code == "helpline"]
    assert (found.file, found.line, found.severity) == ("campaign.toml", line_of(path, "[[senders]]"), "warning")


def test_the_layout_is_told_by_its_line(opened, small):
    found = {each.code: each for each in told(opened, small, [key_of()]) if each.file.endswith("layout.html")}
    assert {"lang", "title", "charset", "contrast"} <= set(found)
    assert {each.line for each in found.values()} == {1}


def test_a_catalogue_that_is_no_toml_or_holds_what_is_unknown(settings, small):
    edit(small / RULES, "[[bases]]", "[[bases]", count=1)
    with pytest.raises(TemplateError, match=r"templates/catalogue\.toml: .* line 3"):
        Catalogue.load(small, settings)
    edit(small / RULES, "[[bases]", "[[bases]]", count=1)
    edit(small / RULES, 'forms = ["own"]', 'formes = ["own"]')
    at = line_of(small / RULES, "formes")
    with pytest.raises(TemplateError, match=rf"templates/catalogue\.toml, line {at}: "):
        Catalogue.load(small, settings)


def test_a_text_that_is_not_utf8_or_holds_a_marker_is_told_by_its_line(settings, small):
    path = small / NIR
    good = path.read_bytes()
    path.write_bytes(good + b"\nd\xe9j\xe0\n")
    with pytest.raises(TemplateError, match=rf"nir\.md, line {good.count(10) + 2}: "):
        Catalogue.load(small, settings)
    path.write_bytes("a\n\ue000\n".encode())
    with pytest.raises(TemplateError, match=r"nir\.md, line 2: "):
        Catalogue.load(small, settings)


# -- campaign.toml -------------------------------------------------------------------------------------------------


FACTS = [
    ("complaint-over", 'complaint = """Un', 'complaint_until = 2024-02-08\ncomplaint = """Un', "complaint_until"),
    ("notify-by-passed", "observe_days = 5", "observe_days = 5\nnotify_by = 2024-02-08", "notify_by"),
    ("dates-contradict", "told = 2024-02-06", "told = 2024-02-01", "told = 2024-02-01"),
    ("dates-contradict", "told = 2024-02-06", "told = 2024-02-16", "told = 2024-02-16"),
    ("blank", 'portal = "almerys.com"', 'portal = "…"', 'portal = "…"'),
    ("blank", 'phone = "01 99 00 56 78"', 'phone = "…"', 'phone = "…"'),
    ("blank", 'host = "127.0.0.1"', "", "[relay]"),
    ("reply-to-unread", "protection-donnees@", "ne-pas-repondre@", "reply_to"),
    ("address", "dpo@mutuelle-clairval.example", "dpo at mutuelle", "dpo_address"),
    ("address", "retours.mutuelle-clairval.example", "retours@x.example", "bounce_domain"),
    ("sample-relay", 'host = "127.0.0.1"\n', 'host = "mx.example"\nallow_plaintext = true\n', "host ="),
    ("dkim-key", "bounce_domain", 'dkim_key = "nowhere.pem"\ndkim_selector = "s1"\nbounce_domain', "dkim_key ="),
]


@pytest.mark.parametrize(("code", "old", "new", "words"), FACTS, ids=[f"{each[0]}-{each[3]}" for each in FACTS])
def test_a_missing_or_outdated_fact_is_told_by_its_line(opened, vault, folder, code, old, new, words):
    path = folder / "campaign.toml"
    edit(path, old, new)
    found = [each for each in told(opened, folder, [key_of()]) if each.code == code]
    assert [(each.file, each.line, each.severity) for each in found] == [
        ("campaign.toml", line_of(path, words), "error")
    ]
    assert f"campaign.toml, line {found[0].line}: " in found[0].place
    assert f"{code} ({found[0].place})" in refusal(opened, vault, folder)


def test_a_statement_that_its_author_has_replaced_blocks(opened, folder):
    path = folder / "campaign.toml"
    again = '[[incidents.not_exposed]]\nwhat = "vos soins"\nsource = "{}"\ndated = 2024-02-08\nmood = "affirmed"\n\n'
    edit(path, '[[incidents]]\ncode = "almerys"', again.format("viamedis") + '[[incidents]]\ncode = "almerys"')
    found = [each for each in told(opened, folder) if each.code == "not-exposed-outdated"]
    assert [(each.file, each.line) for each in found] == [("campaign.toml", line_of(path, "dated = 2024-02-01"))]
    edit(path, again.format("viamedis"), again.format("CNIL"))
    assert [each for each in told(opened, folder) if each.code == "not-exposed-outdated"] == []


def test_a_missed_day_that_was_accepted_in_writing_is_a_warning(opened, folder):
    edit(folder / "campaign.toml", "observe_days = 5", 'observe_days = 5\nnotify_by = 2024-02-08\nlate_because = "DPO"')
    found = [each for each in told(opened, folder) if each.code.startswith("notify-by")]
    assert [(each.code, each.severity) for each in found] == [("notify-by-accepted", "warning")]
    assert "DPO" in found[0].text


def test_a_projected_end_after_the_day_is_refused_until_it_is_accepted_in_writing(settings):
    """A day that has passed already has a finding of its own."""

    def told(today: date, **campaign) -> list[tuple[str, str]]:
        changed = settings.model_copy(update={"campaign": settings.campaign.model_copy(update=campaign)})
        found = check_end(changed, today, "2024-02-12 10:00", "relay.rate (1 per second)")
        assert all("2024-02-12 10:00" in each.text and "relay.rate" in each.text for each in found)
        return [(each.code, each.severity) for each in found]

    day = date(2024, 2, 9)
    assert told(day) == [] == told(date(2024, 2, 10), notify_by=day)
    assert told(day, notify_by=day) == [("notify-by-missed", "error")]
    assert told(day, notify_by=day, late_because=" ") == [("notify-by-missed", "error")]
    assert told(day, notify_by=day, late_because="DPO") == [("notify-by-accepted", "warning")]


def test_what_holds_today_may_not_hold_tomorrow(opened, folder):
    edit(folder / "campaign.toml", "complaint = ", "complaint_until = 2024-02-09\ncomplaint = ")
    assert [each for each in told(opened, folder) if each.severity == "error"] == []
    tomorrow = told(opened, folder, now=datetime(2024, 2, 9, 23, 30, tzinfo=UTC))
    assert [each.code for each in tomorrow if each.severity == "error"] == ["complaint-over"], "Paris is a day ahead"


def test_professionals_without_a_word_on_the_service(opened, folder):
    path = folder / "campaign.toml"
    for operator in ("Le portail Viamedis a été coupé", "L'accès au portail Almerys"):
        start = path.read_text(encoding="utf-8").index(f'state_of_service_professionals = """{operator}')
        text = path.read_text(encoding="utf-8")
        path.write_text(text[:start] + text[text.index('"""', start + 40) + 4 :], encoding="utf-8")
    exposed = frozenset({Exposure("viamedis", "rib")})
    professional = replace(key_of(), audience=Audience.PROFESSIONAL, exposures=exposed)
    found = [each for each in told(opened, folder, [professional]) if each.code == "blank"]
    assert [each.line for each in found] == [line_of(path, "[[incidents]]")]
    assert "when they are paid" in found[0].text


def test_a_key_that_others_can_read_is_told(opened, folder):
    (folder / "dkim.pem").write_bytes(pem("rsa"))
    (folder / "dkim.pem").chmod(0o644)
    edit(folder / "campaign.toml", "bounce_domain", 'dkim_key = "dkim.pem"\ndkim_selector = "s1"\nbounce_domain')
    assert "dkim-key-mode" in {each.code for each in told(opened, folder)}
    (folder / "dkim.pem").chmod(0o600)
    assert not {"dkim-key-mode", "dkim-key"} & {each.code for each in told(opened, folder)}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('brand = "Mutuelle Clairval"', "", "senders.0.brand: missing"),
        ("observe_days = 5", "observe_dayz = 5", "campaign.observe_dayz: no such setting"),
        ('mood = "conditional"', 'mood = "perhaps"', "incidents.0.not_exposed.0.mood: "),
        ('operator = "Almerys"', 'operator = ""', "incidents.1.operator: "),
    ],
)
def test_a_setting_that_is_wrong_is_told_by_its_line_when_it_is_read(folder, old, new, said):
    path = folder / "campaign.toml"
    edit(path, old, new)
    at = line_of(path, new or "[[senders]]")
    with pytest.raises(SettingsError, match=f"^campaign.toml, line {at}: {said}"):
        load(folder, environment={})


def test_a_fact_that_a_variable_overrides_is_told_by_the_variable():
    places = Places("[relay]\nhost = 'a'\n", {}, {"NOTIFIER_RELAY__HOST": "mx.example"})
    [found] = places.located([Finding("sample-relay", "relay.host", "use 127.0.0.1")])
    assert found.place == "NOTIFIER_RELAY__HOST: relay.host"


def test_every_finding_on_a_text_or_a_setting_has_a_file_and_a_line(folder, catalogue, settings):
    """Each form in which a rule names its place."""
    places = places_of(folder, catalogue)
    for where in (
        "relay.host",
        "[pace]",
        "[waves.correction]",
        "[waves.correction] wrong",
        "[[senders]] clairval: helplines.default.phone",
        "[[incidents]] almerys",
        "[[incidents]] viamedis: not_exposed.0.dated",
        "[[incidents]] nobody: told",
        "templates/layout.html, line 3",
        "templates/catalogue.toml",
        "data/categories.toml: nir",
    ):
        [found] = places.located([Finding("blank", where, "write it")])
        assert found.file and found.line >= 1, where
        assert (folder / found.file).exists() or found.file in catalogue.files
