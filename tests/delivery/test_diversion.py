"""A rehearsal writes to own addresses or to a sink on this machine, and to nobody else (I2)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from notifier.campaign import DrillSection, RelayAccess, Settings
from notifier.delivery.diversion import Diversion, is_marked
from notifier.delivery.envelopes import prepare
from notifier.delivery.transaction import Envelope, EnvelopeError
from notifier.model import Audience, Contact, Exposure, Form, PersonalFields, SegmentKey, WaveKind
from notifier.notices.bound import bound_settings, frozen_settings
from notifier.notices.catalogue import Catalogue
from notifier.notices.compiled import CompiledNotice, compile_segment

OWN = ("exercice-1@mutuelle-clairval.fr", "exercice-2@mutuelle-clairval.fr")
INVENTED = [f"personne{number}@courriel.example" for number in range(40)]


def segment(audience: Audience = Audience.INSURED, form: Form = Form.OWN) -> SegmentKey:
    code = "rib" if audience is Audience.PROFESSIONAL else "nir"
    return SegmentKey("initial", WaveKind.INITIAL, "clairval", audience, "", form,
                      frozenset({Exposure("viamedis", code)}), "fr")  # fmt: skip


@pytest.fixture
def drill(settings: Settings) -> Settings:
    return settings.model_copy(update={"drill": DrillSection(recipients=OWN)})


def compiled(settings: Settings, folder, key: SegmentKey) -> CompiledNotice:
    return compile_segment(key, Catalogue.load(folder, settings), settings)


def rendered(notice: CompiledNotice, to: str, now) -> bytes:
    fields = PersonalFields(Contact(name="Exemple", forename="Camille"), "0000-EXEM-P1E0", ("Léa Exemple",))
    return notice.render(fields, to=to, message_id="<a@b.example>", date=now)


def envelope(recipient: str, message: bytes) -> Envelope:
    return Envelope("bounces@b.example", recipient, recipient, message, "00")


def test_i2_every_recipient_is_mapped_onto_the_list_and_stays_there():
    diversion = Diversion(OWN, "smtp.mutuelle-clairval.fr")
    mapped = [diversion.address(address) for address in INVENTED]
    assert set(mapped) == set(OWN)
    assert mapped == [diversion.address(address.upper()) for address in INVENTED]


@pytest.mark.parametrize("key", [
    segment(), segment(Audience.PROFESSIONAL), segment(Audience.DEPENDANT, Form.CHILDREN),
    segment(Audience.PROFESSIONAL, Form.ESTABLISHMENTS),
])  # fmt: skip
def test_a_drill_s_messages_are_marked_and_a_campaign_s_are_not(drill, settings, folder, now, key):
    message = rendered(compiled(drill, folder, key), OWN[0], now)
    assert is_marked(message)
    assert not is_marked(rendered(compiled(settings, folder, key), OWN[0], now))


def test_i2_a_message_for_somebody_else_or_without_its_mark_does_not_go_out(drill, settings, folder, now):
    diversion = Diversion.of(drill)
    assert diversion is not None
    good = rendered(compiled(drill, folder, segment()), OWN[0], now)
    diversion.verify(envelope(OWN[0], good))
    with pytest.raises(EnvelopeError, match="list"):
        diversion.verify(envelope(INVENTED[0], good))
    with pytest.raises(EnvelopeError, match="EXERCICE"):
        diversion.verify(envelope(OWN[0], rendered(compiled(settings, folder, segment()), OWN[0], now)))


@pytest.mark.parametrize(("host", "recipient", "goes"), [
    ("127.0.0.1", "a@courriel.example", True),
    ("smtp.mutuelle-clairval.fr", "a@courriel.example", False),
    ("127.0.0.1", "a@orange.fr", False),
    ("127.0.0.1", "a@example.fr", False),
])  # fmt: skip
def test_i2_without_a_list_only_invented_mailboxes_on_this_machine(drill, folder, now, host, recipient, goes):
    sink = Diversion((), host)
    message = rendered(compiled(drill, folder, segment()), recipient, now)
    if goes:
        sink.verify(envelope(recipient, message))
    else:
        with pytest.raises(EnvelopeError, match="sink"):
            sink.verify(envelope(recipient, message))


def test_i2_a_second_relay_must_be_on_this_machine_too(settings):
    for host, goes in (("localhost", True), ("smtp.mutuelle-clairval.fr", False)):
        relay = settings.relay.model_copy(update={"fallback": RelayAccess(host=host, port=2526)})
        drill = settings.model_copy(update={"drill": DrillSection(), "relay": relay})
        diversion = Diversion.of(drill)
        assert diversion is not None
        assert diversion.admits(INVENTED[0]) is goes


def test_i2_a_drill_without_its_diversion_and_a_campaign_with_one_prepare_nothing(vault, settings, drill, folder):
    notice = compiled(drill, folder, segment())
    with pytest.raises(EnvelopeError, match="nothing goes out"):
        prepare(None, vault, settings.senders[0], notice, frozenset(), diversion=Diversion.of(drill))
    from notifier.vault import Keys, Vault

    with pytest.raises(EnvelopeError, match="nothing goes out"):
        prepare(None, Vault(Keys.new("drill-x")), settings.senders[0], notice, frozenset())


def test_i7_the_list_and_the_drill_are_bound_by_the_approval(drill, settings):
    bound = bound_settings(drill)
    assert frozen_settings(bound).drill == drill.drill
    assert frozen_settings(bound_settings(settings)).drill is None
    other = drill.model_copy(update={"drill": DrillSection(recipients=OWN[:1])})
    from notifier.notices.bound import differences

    assert differences(bound, bound_settings(other)) == [f'drill.recipients.1 (taken out, approved "{OWN[1]}")']


def test_the_subject_of_a_drill_is_held_to_the_rules_without_its_mark(drill, folder, now):
    from notifier.notices.lint import lint

    catalogue = Catalogue.load(folder, drill)
    long = replace(segment(), audience=Audience.INSURED)
    assert [each for each in lint([long], catalogue, drill) if each.severity == "error"] == []
