"""A sender that was stopped for long (a laptop asleep, SIGSTOP) writes nothing until it has asked whether it is still
the sender; one that is no more ends, and what it had begun is in doubt with whoever took over (I4, I5)."""

from __future__ import annotations

import time

import pytest

from notifier.delivery import pulse
from notifier.delivery.pulse import GAP_SECONDS, Pulse
from notifier.errors import CampaignBusy
from tests.relay.server import Server


class Clock:
    """The machine's, and what it slept."""

    def __init__(self) -> None:
        self.slept = 0.0

    def __call__(self) -> int:
        return time.monotonic_ns() + int(self.slept * 1e9)


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(pulse, "boot_ns", clock)
    return clock


def many(count: int) -> list[str]:
    return [f"p{number}@courriel.example" for number in range(count)]


def at_message(server: Server, number: int, happens) -> None:
    def look() -> None:
        if len(server.taken) == number:
            happens()

    server.on_take = look


def test_a_gap_is_remembered_until_the_database_was_asked():
    now = [0]
    beating = Pulse(lambda: now[0])
    for _ in range(30):
        now[0] += int(GAP_SECONDS * 1e9) - 1
        assert beating.is_steady()
        beating.beat()
    now[0] += int(GAP_SECONDS * 1e9) + 1
    assert not beating.is_steady()
    beating.beat()
    assert not beating.is_steady(), "a beat after the gap does not close it"
    beating.checked()
    assert beating.is_steady()


@pytest.mark.parametrize("pipelining", [True, False])
def test_i5_after_a_sleep_it_goes_on_where_nobody_took_over(rows, server, sending, clock, pipelining):
    rows.deliver(*many(80))
    at_message(server, 25, lambda: setattr(clock, "slept", 3600.0))
    report = sending(server, wait=True, tune={"pipelining": pipelining, "retry__first_seconds": 0.05})
    assert report.exit_code == 0 and rows.states() == {"accepted": 80}
    assert len(server.taken) == 80 + len(rows.entries("delivery_in_doubt")), "no duplicate without a trace"


def test_i4_i5_after_a_sleep_nothing_goes_out_where_somebody_took_over(rows, server, sending, clock):
    rows.deliver(*many(80))

    def sleep() -> None:
        clock.slept += 3600
        rows.run("UPDATE campaign SET sender_epoch = sender_epoch + 1")

    at_message(server, 25, sleep)
    with pytest.raises(CampaignBusy, match="took over"):
        sending(server)
    assert len(server.taken) <= 25 + 4, "what was on the wire by then"
    assert rows.states()["queued"] + len(server.taken) + 16 >= 80


def test_i5_who_is_no_more_the_sender_learns_it_with_the_next_cycle(rows, server, sending):
    """Without any sleep: another machine, whose lock we cannot see, took over."""
    rows.deliver(*many(400))
    at_message(server, 25, lambda: rows.run("UPDATE campaign SET sender_epoch = sender_epoch + 1"))
    with pytest.raises(CampaignBusy, match="took over"):
        sending(server)
    assert len(server.taken) <= 25 + 2 * 16, "the window, and what the cycle under way had claimed"
