"""Settings: validated once, a wrong key named by its path."""

import shutil
from pathlib import Path

import pytest

from notifier.campaign import Tls, categories, load, shipped
from notifier.errors import SettingsError
from notifier.model import Audience


@pytest.fixture
def place(tmp_path: Path) -> Path:
    shutil.copy(shipped("data") / "campaign" / "sample.toml", tmp_path / "campaign.toml")
    return tmp_path


@pytest.mark.parametrize(
    ("variable", "value", "read"),
    [
        ("NOTIFIER_RELAY__HOST", "localhost", lambda s: s.relay.host == "localhost"),
        ("NOTIFIER_RELAY__PORT", "2526", lambda s: s.relay.port == 2526),
        ("NOTIFIER_RELAY__TLS", "implicit", lambda s: s.relay.tls is Tls.IMPLICIT),
        ("NOTIFIER_RELAY__CONNECTIONS", "7", lambda s: s.relay.connections == 7 and s.window == 28),
        ("NOTIFIER_RELAY__RATE", "2.5", lambda s: s.relay.rate == 2.5),
        ("NOTIFIER_RETRY__FIRST_SECONDS", "0.1", lambda s: s.retry.first_seconds == 0.1),
        ("NOTIFIER_DATABASE", "sqlite:///x.db", lambda s: s.database == "sqlite:///x.db"),
        ("NOTIFIER_DOUBT__POLICY", "hold", lambda s: s.doubt.policy == "hold"),
    ],
)
def test_an_override(place: Path, variable: str, value: str, read) -> None:
    assert not read(load(place, {}))
    assert read(load(place, {variable: value}))


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({"NOTIFIER_RELAY__HOTS": "x"}, "relay.hots"),
        ({"NOTIFIER_RELAY__PORT": "many"}, "relay.port"),
        ({"NOTIFIER_RELAY__TLS": "ssl"}, "relay.tls"),
        ({"NOTIFIER_RELAY__HOST": "smtp.far.example"}, "relay"),
        ({"NOTIFIER_SENDERS__X": "1"}, "NOTIFIER_SENDERS__X"),
        ({"NOTIFIER_NOSUCH": "1"}, "nosuch"),
        ({"NOTIFIER_CAMPAIGN__TIMEZONE": "Europe/Nowhere"}, "campaign.timezone"),
    ],
)
def test_a_wrong_override_is_named(place: Path, environment: dict[str, str], says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        load(place, environment)


@pytest.mark.parametrize(
    "host",
    [
        "a..b",
        ".example",
        "x" * 64 + ".example",
        "a b.example",
        "relay:587",
        "https://relay",
        "who@relay",
        "[::1]",
        "a\tb",
    ],
)
def test_what_no_server_can_be_called_is_told_with_its_line(place: Path, host: str) -> None:
    """Not at night, by the resolver's own error."""
    for variable in ("NOTIFIER_RELAY__HOST", "NOTIFIER_RELAY__FALLBACK__HOST"):
        with pytest.raises(SettingsError, match=rf"{variable}: relay\.\S*host: is no server's name") as told:
            load(place, {variable: host, "NOTIFIER_RELAY__TLS": "starttls"})
        assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    "host",
    ["relay", "smtp.example.org", "smtp.example.org.", "_smtp.b-c.example", "société.example", "10.0.0.1", "::1"],
)
def test_names_and_addresses_of_servers(place: Path, host: str) -> None:
    assert load(place, {"NOTIFIER_RELAY__HOST": host, "NOTIFIER_RELAY__TLS": "starttls"}).relay.host == host


def test_plaintext_to_a_far_host_is_a_decision(place: Path) -> None:
    far = {"NOTIFIER_RELAY__HOST": "smtp.far.example", "NOTIFIER_RELAY__TLS": "none"}
    with pytest.raises(SettingsError, match="allow_plaintext"):
        load(place, far)
    assert load(place, {**far, "NOTIFIER_RELAY__ALLOW_PLAINTEXT": "true"}).relay.host == "smtp.far.example"


def test_no_settings_and_no_toml(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="init"):
        load(tmp_path, {})
    (tmp_path / "campaign.toml").write_text("[relay\n")
    with pytest.raises(SettingsError, match="line 1"):
        load(tmp_path, {})


def test_a_doubled_code_is_refused(place: Path) -> None:
    path = place / "campaign.toml"
    path.write_text(path.read_text(encoding="utf-8").replace('code = "almerys"', 'code = "viamedis"'), encoding="utf-8")
    with pytest.raises(SettingsError, match="viamedis"):
        load(place, {})


def test_blank_and_sample_load(tmp_path: Path) -> None:
    for name in ("blank", "sample"):
        shutil.copy(shipped("data") / "campaign" / f"{name}.toml", tmp_path / "campaign.toml")
        assert load(tmp_path, {}).campaign.sample is (name == "sample")


def test_a_professionals_helpline_is_theirs(place: Path) -> None:
    sender = load(place, {}).sender("clairval")
    professional, insured = sender.helpline(Audience.PROFESSIONAL), sender.helpline(Audience.INSURED)
    assert professional is not None
    assert insured is not None
    assert professional.phone != insured.phone


def test_every_category_of_the_design_is_there(tmp_path: Path) -> None:
    known = categories(tmp_path)
    wanted = (
        "civil_status birth_date birth_rank nir member_number insurer contract guarantees company_name name email "
        "phone postal_address portal_login rib siret finess care_network iban password health_data"
    )
    assert set(wanted.split()) <= set(known)
    assert all(category.label and category.audiences for category in known.values())
