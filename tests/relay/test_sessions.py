"""Sessions of every kind through the real sender: {plain, STARTTLS, implicit TLS} × {asyncio, uvloop} × {PIPELINING,
not}; logins, client certificates, the second relay; and what the journal keeps of them."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial

import pytest
import trustme
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from notifier.cli.loop import loop_factory
from notifier.delivery.handover import take_over
from notifier.delivery.pipeline import Patience
from notifier.delivery.relay import open_relay
from notifier.errors import OperatorError, RelayUnavailable, SettingsError
from tests.delivery.rows import tuned
from tests.relay.server import Act, Server, serving

pytestmark = pytest.mark.thorough

PIPELINING = ("PIPELINING", "SIZE 10000000", "8BITMIME", "DSN", "ENHANCEDSTATUSCODES")
LOOPS = {"asyncio": None, "uvloop": uvloop.new_event_loop}
TLS = ["none", "starttls", "implicit"]


def many(count: int, prefix: str = "p") -> list[str]:
    return [f"{prefix}{number}@courriel.example" for number in range(count)]


@pytest.fixture
def secured(server, certificate, tmp_path):
    """``secured(tls)``: the server and the settings speak so; what `sending` needs beside."""

    def secure(tls: str) -> dict:
        server.starttls = certificate if tls == "starttls" else None
        tune = {"tls": tls} if tls == "none" else {"tls": tls, "ca_file": tmp_path / "ca.pem"}
        return {"tune": tune, "implicit": certificate if tls == "implicit" else None}

    return secure


@pytest.mark.parametrize("pipelining", [True, False], ids=["pipelining", "lockstep"])
@pytest.mark.parametrize("loop", LOOPS.values(), ids=LOOPS.keys())
@pytest.mark.parametrize("tls", TLS)
def test_each_kind_of_session(rows, server, sending, secured, tls, loop, pipelining):
    """Each is taken once; refusals are the person's own; a drop before the dot is tried again, after it is in doubt."""
    addresses = many(24)
    ids = dict(zip(addresses, rows.deliver(*addresses), strict=True))
    if pipelining:
        server.extensions = PIPELINING
    server.on(addresses[3], Act("rcpt", "550 5.1.1 unknown"))
    server.on(addresses[7], Act("final", "451 4.3.0 later"))
    server.on(addresses[9], Act("rcpt", then="drop"))
    server.on(addresses[11], Act("final", then="take_drop"))
    arguments = secured(tls)
    arguments["tune"] |= {"messages_per_connection": 7, "connections": 2}
    report = sending(server, loop=loop, **arguments)
    states = {address: rows.state(one) for address, one in ids.items()}
    assert states.pop(addresses[3]) == "refused" and states.pop(addresses[7]) == "deferred"
    assert states.pop(addresses[11]) == "in_doubt" and set(states.values()) == {"accepted"}
    assert report.accepted == 21 and server.faults == []
    assert sorted(taken.recipient for taken in server.taken) == sorted({*states, addresses[11]})
    opened = [entry["facts"] for entry in rows.entries("connection_opened")]
    assert len(opened) == server.sessions >= 4
    for facts in opened:
        assert facts["relay"] == f"127.0.0.1:{server.port}" and facts["pipelining"] is pipelining
        assert facts["verified"] is (tls != "none") and (facts["tls"] in ("TLSv1.2", "TLSv1.3")) is (tls != "none")
    assert {entry["facts"]["relay"] for entry in rows.entries("delivery_accepted")} == {opened[0]["relay"]}


@pytest.mark.parametrize("grants", [True, False])
@pytest.mark.parametrize("manner", ["bytes", "lump"])
def test_i3_replies_are_each_transactions_own(rows, server, sending, manner, grants):
    """Byte by byte or all at once, 354 after a refused RCPT or not: nobody gets another's reply."""
    server.extensions, server.manner, server.grants = PIPELINING, manner, grants
    addresses = many(30)
    ids = dict(zip(addresses, rows.deliver(*addresses), strict=True))
    wanted = {}
    for number, address in enumerate(addresses):
        act, state = {
            0: (Act("rcpt", "550 5.1.1 unknown"), "refused"),
            1: (Act("data", "451 4.3.0 not now"), "deferred"),
            2: (Act("final", "550-5.1.1 no such user\n550 5.1.1 here"), "refused"),
        }.get(number % 5, (None, "accepted"))
        wanted[address] = state
        if act:
            server.on(address, act)
    sending(server, tune={"connections": 1})
    assert {address: rows.state(one) for address, one in ids.items()} == wanted
    assert {taken.recipient for taken in server.taken} == {one for one in addresses if wanted[one] == "accepted"}
    assert server.faults == [] and len(server.taken) == 12


HOSTILE = [
    Act("mail", "250 ok\n250 ok"),
    Act("rcpt", "2" * 10_000_000),
    Act("rcpt", "\udcff\udc00\x00 what"),
    Act("data", "250 ok"),
    Act("body", "250 2.0.0 taken already"),
    Act("body", "550 5.1.1 unknown"),
    Act("final", "354 more"),
    Act("final", "2" * 10_000_000),
    Act("final", "\n".join(["250-and"] * 500)),
    Act("rcpt", "421 4.3.2 going down"),
    Act("final", "421 4.3.2 going down"),
]


@pytest.mark.parametrize("pipelining", [True, False], ids=["pipelining", "lockstep"])
@pytest.mark.parametrize("act", HOSTILE, ids=lambda act: f"{act.phase}-{act.reply[:9]!r}")
def test_garbage_is_an_outcome_and_never_an_error(rows, server, sending, act, pipelining):
    server.extensions = PIPELINING if pipelining else server.extensions
    hit, *others = rows.deliver(*many(6))
    if act.phase == "mail":
        server.on_mail(act)
    else:
        server.on(many(1)[0], act)
    sending(server, tune={"connections": 1})
    assert {rows.state(one) for one in others} == {"accepted"}
    assert rows.state(hit) in ({"in_doubt", "deferred"} if act.phase == "final" else {"accepted", "deferred"})
    if act.phase == "body":
        assert server.copies(many(1)[0]) == (rows.state(hit) == "accepted")


def test_a_pause_stops_a_pipeline_and_gives_back_what_is_staged(rows, server, sending):
    """What is on the wire ends; what was claimed or staged, and not begun, is as if never claimed."""
    from datetime import UTC, datetime

    from notifier.delivery.sender import pause

    server.extensions = PIPELINING
    rows.deliver(*many(200))
    seen = asyncio.Event()
    server.on_take = lambda: len(server.taken) >= 30 and seen.set()

    async def meanwhile(database):
        await seen.wait()
        assert await pause(database, reason="texte à corriger", by="dpo", now=datetime.now(UTC))

    report = sending(server, meanwhile=meanwhile)
    assert report.reason == "paused" and server.faults == []
    assert rows.states() == {"accepted": len(server.taken), "queued": 200 - len(server.taken)}
    assert rows.one("SELECT COUNT(*) FROM deliveries WHERE state = 'queued' AND attempt > 0") == 0


def test_i5_an_outcome_that_cannot_be_taken_down_is_a_crash(rows, server, sending):
    """The run ends at once instead of waiting for it, and the next one finds it in doubt."""
    from datetime import UTC, datetime

    server.extensions = PIPELINING
    rows.deliver(*many(10))
    broken = []

    def clock():
        if server.taken and not broken:
            broken.append(True)
            raise RuntimeError("no clock")
        return datetime.now(UTC)

    with pytest.raises(RuntimeError, match="no clock"):
        sending(server, clock=clock, tune={"connections": 1})
    report = sending(server)
    assert report.recovered >= 1 and set(rows.states()) == {"accepted", "in_doubt"}


def test_no_answer_within_a_pipeline(rows, server, sending):
    server.extensions = PIPELINING
    ids = rows.deliver(*many(4))
    server.on(many(4)[1], Act("rcpt", then="hang"))
    sending(server, tune={"connections": 1, "reply_seconds": 0.2, "data_seconds": 0.2})
    states = [rows.state(one) for one in ids]
    assert states == ["accepted", "deferred", "accepted", "accepted"]


def test_the_waits_are_those_of_rfc_5321(settings):
    relay = settings.relay
    assert (relay.reply_seconds, relay.data_seconds, relay.block_seconds, relay.final_reply_seconds) == (
        300,
        120,
        180,
        600,
    )


@pytest.mark.parametrize("loop", LOOPS.values(), ids=LOOPS.keys())
@pytest.mark.parametrize("tls", TLS)
def test_an_idle_session_leaves_with_quit_and_hears_421(server, secured, settings, folder, tls, loop):
    arguments = secured(tls)

    async def whole() -> None:
        async with serving(server, implicit=arguments["implicit"]):
            relay = await open_relay(tuned(settings, port=server.port, **arguments["tune"]), folder, {})
            session = await relay.open(patience_seconds=0, stopping=asyncio.Event())
            pipeline = take_over(session, Patience(5, 5, 5, 5), lambda: True, relay.rules)
            await pipeline.leave()
            relay.gone(session)
            assert server.commands[-1] == "QUIT" and not pipeline.is_open and relay.live == 0

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(whole())


# -- who we are ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("auth", ["PLAIN LOGIN", "LOGIN", "CRAM-MD5 LOGIN"])
def test_logins_by_name(rows, server, sending, secured, monkeypatch, auth):
    """PLAIN, else LOGIN; the secret from the environment, and never a second method after a refusal."""
    rows.deliver(*many(2))
    server.login, server.auth = ("clairval", "s3cret é"), auth
    monkeypatch.setenv("NOTIFIER_RELAY_PASSWORD", "s3cret é")
    arguments = secured("starttls")
    arguments["tune"]["username"] = "clairval"
    assert sending(server, **arguments).accepted == 2
    monkeypatch.setenv("NOTIFIER_RELAY_PASSWORD", "wrong")
    rows.deliver("late@courriel.example")
    server.commands.clear()
    assert sending(server, **arguments).reason == "paused"
    assert sum(command.startswith("AUTH") for command in server.commands) == 1
    assert not any("clairval" in str(entry) for entry in rows.entries("connection_opened"))


@pytest.mark.parametrize("auth", ["PLAIN", "LOGIN"])
def test_i8_a_server_that_repeats_the_password_leaves_it_nowhere(rows, server, sending, secured, monkeypatch, auth):
    """Neither in what the operator reads nor in the journal, where it would stand for ever."""
    rows.deliver(*many(2))
    server.login, server.auth = ("clairval", "right"), auth
    server.refusal = "535-5.7.8 user={user} password={password}\n535 5.7.8 {said}"
    monkeypatch.setenv("NOTIFIER_RELAY_PASSWORD", "Hunter2hunter2")
    arguments = secured("starttls")
    arguments["tune"]["username"] = "clairval"
    report = sending(server, **arguments)
    assert report.reason == "paused" and "535" in report.paused_reason
    [paused] = rows.entries("campaign_paused")
    assert "535" in str(paused)
    kept = "".join(str(entry) for entry in rows.entries()) + repr(report)
    said = [command.rpartition(" ")[2] for command in server.commands if "AUTH" in command]
    assert said and not [word for word in ("hunter2", *said, "SHVudGVyM") if word.lower() in kept.lower()]


@pytest.mark.parametrize("offers", [PIPELINING, ("SIZE 10000000",)], ids=["pipelining", "lockstep"])
def test_i8_a_password_repeated_after_the_login_is_kept_nowhere(
    rows, server, sending, secured, monkeypatch, folder, vault, offers
):
    """At any phase of a session, and what is sealed too: a key that reads names is no key to the relay."""
    addresses = many(6)
    rows.deliver(*addresses)
    server.extensions = offers
    server.login = ("clairval", "Hunter2hunter2")
    told = "clairval:hunter2hunter2 AGNsYWlydmFsAEh1bnRlcjJodW50ZXIy"
    server.on(addresses[0], Act("rcpt", f"550 5.1.1 unknown {told}"))
    server.on(addresses[1], Act("final", f"250 2.0.0 queued by {told}"))
    server.on(addresses[2], Act("rcpt", f"421 4.3.0 good-bye {told}"))
    server.on(addresses[3], Act("rcpt", f"what {told}"))
    server.on(addresses[4], Act("data", f"554 5.7.1 sender {told}"))
    monkeypatch.setenv("NOTIFIER_RELAY_PASSWORD", "Hunter2hunter2")
    arguments = secured("starttls")
    arguments["tune"] |= {"username": "clairval", "connections": 1}
    sending(server, **arguments)
    sealed = (
        "SELECT token, reply_sealed FROM attempts JOIN deliveries ON deliveries.id = delivery_id WHERE reply_sealed"
    )
    opened = [vault.unseal_bytes("reply", token, reply) for token, reply in rows.all(f"{sealed} IS NOT NULL")]
    kept = b"".join(path.read_bytes() for path in folder.glob("campaign.db*")) + b"".join(opened)
    log = (folder / "logs" / "mail.log").read_bytes()
    assert b"unknown" in log and b"queued by" in log and len(opened) >= 2
    for word in (b"hunter2", b"AGNsYWlydmFsAEh1bnRlcjJodW50ZXIy"):
        assert word.lower() not in kept.lower() and word.lower() not in log.lower()


def test_a_login_that_the_relay_does_not_offer_is_told(rows, server, sending, secured, monkeypatch):
    rows.deliver(*many(1))
    server.login, server.auth = ("clairval", "x"), "CRAM-MD5"
    monkeypatch.setenv("NOTIFIER_RELAY_PASSWORD", "x")
    arguments = secured("starttls")
    arguments["tune"]["username"] = "clairval"
    with pytest.raises(SettingsError, match="offers no login by PLAIN or LOGIN"):
        sending(server, **arguments)


@pytest.mark.parametrize("loop", LOOPS.values(), ids=LOOPS.keys())
def test_a_client_certificate(rows, server, sending, secured, authority, certificate, folder, loop):
    authority.configure_trust(certificate)
    certificate.verify_mode = ssl.CERT_REQUIRED
    rows.deliver(*many(2))
    arguments = secured("implicit")
    arguments["tune"]["reply_seconds"] = 5
    with pytest.raises((RelayUnavailable, SettingsError)):
        sending(server, loop=loop, **arguments)
    ours = authority.issue_cert("notifier@mutuelle-clairval.example")
    ours.cert_chain_pems[0].write_to_path(folder / "client.pem")
    ours.private_key_pem.write_to_path(folder / "client.key")
    arguments["tune"] |= {"client_cert": "client.pem", "client_key": "client.key"}
    assert sending(server, loop=loop, **arguments).accepted == 2
    (folder / "client.key").write_text("no key")
    rows.deliver("late@courriel.example")
    with pytest.raises(SettingsError, match="client_cert"):
        sending(server, loop=loop, **arguments)


def told_of(sending, rows, loop, arguments) -> str:
    rows.deliver("early@courriel.example")
    with pytest.raises(SettingsError) as told:
        sending(loop=loop, **arguments)
    return str(told.value)


@pytest.mark.parametrize("loop", LOOPS.values(), ids=LOOPS.keys())
@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_a_certificate_out_of_its_time_says_when_and_who_mends_it(
    rows, server, sending, authority, tmp_path, tls, loop
):
    """No setting of ours can: the next thing somebody tries must not be a weaker one."""
    for name, times, words in (
        ("past", {"not_after": datetime(2024, 2, 1, tzinfo=UTC)}, "has expired on 2024-02-01: whoever runs the relay"),
        ("future", {"not_before": datetime(2090, 2, 1, tzinfo=UTC)}, "is not valid before 2090-02-01: is the clock"),
    ):
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert("127.0.0.1", **times).configure_cert(context)
        server.starttls = context if tls == "starttls" else None
        tune = {"tls": tls, "ca_file": tmp_path / "ca.pem", "username": "clairval", "password_file": "pw"}
        (tmp_path / "pw").write_text("s3cret")
        tune["password_file"] = tmp_path / "pw"
        implicit = context if tls == "implicit" else None
        told = told_of(partial(sending, server), rows, loop, {"tune": tune, "implicit": implicit})
        assert words in told and "ca_file" not in told and "relay.host" not in told, name
        assert not [command for command in server.commands if not command.startswith(("EHLO", "STARTTLS"))]


def test_an_authority_out_of_its_time_is_not_called_the_relays_own(rows, server, sending, tmp_path):
    """The certificate may be new, and who vouches for it not."""
    old = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    made = old.issue_cert("127.0.0.1")
    made.configure_cert(context)
    key = load_pem_private_key(old.private_key_pem.bytes(), None)
    before = x509.load_pem_x509_certificate(old.cert_pem.bytes())
    expired = x509.CertificateBuilder(
        before.issuer, before.subject, before.public_key(), before.serial_number,
        datetime(2020, 1, 1, tzinfo=UTC), datetime(2024, 2, 1, tzinfo=UTC), list(before.extensions),
    ).sign(key, SHA256())  # fmt: skip
    (tmp_path / "old.pem").write_bytes(expired.public_bytes(Encoding.PEM))
    server.starttls = context
    tune = {"tls": "starttls", "ca_file": tmp_path / "old.pem"}
    told = told_of(partial(sending, server), rows, None, {"tune": tune})
    assert "that vouches for the relay" in told and "has expired" in told and "relay.ca_file" in told


@pytest.mark.parametrize("loop", LOOPS.values(), ids=LOOPS.keys())
def test_a_name_that_is_not_the_certificates_is_not_a_matter_of_authority(
    rows, server, sending, authority, tmp_path, loop
):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("smtp.mutuelle-clairval.example").configure_cert(context)
    server.starttls = context
    tune = {"tls": "starttls", "ca_file": tmp_path / "ca.pem"}
    told = told_of(partial(sending, server), rows, loop, {"tune": tune})
    assert "set relay.host to the name in it" in told and "ca_file" not in told
    del tune["ca_file"]
    told = told_of(partial(sending, server), rows, loop, {"tune": tune})
    assert "relay.ca_file" in told and "relay.host" not in told


def test_a_missing_starttls_is_no_reason_for_less(rows, server, sending):
    told = told_of(partial(sending, server), rows, None, {"tune": {"tls": "starttls"}})
    assert "offers no STARTTLS, or somebody on the way takes the offer out" in told
    assert "do not weaken relay.tls" in told and "set relay.tls" not in told


@contextmanager
def demanding(context: ssl.SSLContext, *, implicit: bool) -> Iterator[int]:
    """A server that ends TLS with an alert and then in order, as asyncio's does not: on that port of this machine."""

    def serve() -> None:
        with suppress(OSError):
            while True:
                plain, _ = listener.accept()
                lines = plain.makefile("rb")
                if not implicit:
                    for said in (b"220 relay.example", b"250-relay.example\r\n250 STARTTLS", b"220 go"):
                        plain.sendall(said + b"\r\n")
                        _ = lines.readline() if said != b"220 go" else b""
                secured = context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)
                with suppress(ssl.SSLError):
                    secured.do_handshake()
                with socket.socket(fileno=secured.detach()) as left:
                    left.settimeout(5)
                    left.shutdown(socket.SHUT_WR)
                    while left.recv(1000):
                        pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)


@pytest.mark.parametrize("loop", LOOPS.values(), ids=LOOPS.keys())
@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_a_relay_that_wants_a_certificate_of_ours_says_so(
    rows, sending, authority, certificate, folder, tmp_path, loop, tls, newest
):
    authority.configure_trust(certificate)
    certificate.verify_mode = ssl.CERT_REQUIRED
    certificate.maximum_version = newest
    with demanding(certificate, implicit=tls == "implicit") as port:
        tune = {"tls": tls, "ca_file": tmp_path / "ca.pem", "port": port}
        told = told_of(partial(sending, None), rows, loop, {"tune": tune})
        assert "relay.client_cert and client_key" in told and "certificate of ours" in told
        stranger = trustme.CA().issue_cert("notifier@mutuelle-clairval.example")
        stranger.cert_chain_pems[0].write_to_path(folder / "client.pem")
        stranger.private_key_pem.write_to_path(folder / "client.key")
        tune |= {"client_cert": "client.pem", "client_key": "client.key"}
        told = told_of(partial(sending, None), rows, loop, {"tune": tune})
        assert "does not take our certificate" in told and "relay.client_cert" in told


def test_the_authoritys_file_is_the_campaigns_own(rows, server, sending, secured, folder, tmp_path, monkeypatch):
    """Relative to its folder, as all its files are: not to where somebody stands, whose ca.pem vouches for nobody."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    (folder / "ca.pem").write_bytes((tmp_path / "ca.pem").read_bytes())
    rows.deliver(*many(2))
    arguments = secured("starttls")
    arguments["tune"]["ca_file"] = "ca.pem"
    assert sending(server, **arguments).accepted == 2
    (folder / "ca.pem").rename(elsewhere / "ca.pem")
    rows.deliver("late@courriel.example")
    with pytest.raises(SettingsError, match=r"relay\.ca_file: .*ca\.pem is not a readable file"):
        sending(server, **arguments)


# -- the second relay ----------------------------------------------------------------------------------------------


def test_the_fallback_takes_over_when_the_first_does_not_answer(rows, server, sending):
    """Before anything was claimed; which relay took which is in the journal, and each has its own pace."""
    rows.deliver(*many(20))
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # ours, and nobody listens
        first = f"127.0.0.1:{bound.getsockname()[1]}"

        def tune(port: int) -> dict:
            return {
                "port": int(first.rpartition(":")[2]),
                "rate": 50,
                "fallback": {"host": "127.0.0.1", "port": port, "tls": "none", "rate": 400, "burst": 5},
            }

        report = beside(sending, server, tune)
    assert report.accepted == 20 and report.reason == "done"
    second = f"127.0.0.1:{server.port}"
    assert {entry["facts"]["relay"] for entry in rows.entries("delivery_accepted")} == {second}
    (changed,) = rows.entries("relay_changed")
    assert (changed["facts"]["from"], changed["facts"]["to"]) == (first, second)
    assert [name for (name,) in rows.all("SELECT name FROM pace")] == [second]


def test_the_fallback_takes_over_in_the_middle(rows, server, sending, monkeypatch):
    monkeypatch.setattr("notifier.delivery.run.PATIENCE", 0.3)
    addresses = many(60)
    rows.deliver(*addresses)
    first = Server()

    def die() -> None:
        if len(first.taken) == 20:
            first.most_sessions = -1  # from now on every new session gets 421 …
            first.messages_per_session = 0  # … and every old one too

    first.on_take = die

    def tune(port: int) -> dict:
        fallback = {"host": "127.0.0.1", "port": port, "tls": "none", "rate": 0}
        return {"port": first.port, "rate": 500, "burst": 10, "fallback": fallback}

    report = beside(sending, server, tune, first)
    assert report.accepted == 60
    assert sorted(taken.recipient for taken in [*first.taken, *server.taken]) == sorted(addresses)
    names = [entry["facts"]["relay"] for entry in rows.entries("delivery_accepted")]
    assert names.count(f"127.0.0.1:{first.port}") == len(first.taken) >= 20
    assert names.count(f"127.0.0.1:{server.port}") == len(server.taken)


def beside(sending, server: Server, tune, first: Server | None = None):
    """Send while ``server`` (and ``first``) serve from threads of their own loops."""
    import threading

    ready, over = threading.Event(), threading.Event()

    def serve() -> None:
        async def whole() -> None:
            async with serving(server):
                if first is None:
                    ready.set()
                    await asyncio.to_thread(over.wait)
                else:
                    async with serving(first):
                        ready.set()
                        await asyncio.to_thread(over.wait)

        asyncio.run(whole())

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        assert ready.wait(10)
        return sending(None, tune=tune(server.port))
    finally:
        over.set()
        thread.join()


def test_a_fallback_must_be_another_and_have_a_rate(settings, folder):
    with pytest.raises(ValueError, match="same server"):
        tuned(settings, port=25, fallback={"host": "127.0.0.1", "port": 25, "tls": "none"})
    from notifier.delivery.relay import open_fallback

    chosen = tuned(settings, port=25, fallback={"host": "127.0.0.1", "port": 26, "tls": "none"})
    with pytest.raises(SettingsError, match=r"relay\.fallback\.rate"):
        asyncio.run(open_fallback(chosen, folder, {}))


# -- the loop ------------------------------------------------------------------------------------------------------


def test_the_loop_of_send_is_chosen_by_the_environment():
    assert loop_factory({}) is uvloop.new_event_loop
    assert loop_factory({"NOTIFIER_LOOP": "asyncio"}) is None
    with pytest.raises(OperatorError, match="NOTIFIER_LOOP"):
        loop_factory({"NOTIFIER_LOOP": "trio"})
