"""What one cycle of the sender costs for each message: CPU of the cycle's thread, stage by stage, without a network.

Each cycle is what a clerk does: decide on what has ended, one durable transaction (record it, claim the next), then the
counts and the mail log. The outcomes are made up (accepted); the database is a copy of a campaign that is planned and
approved, with at least 20,000 deliveries (`campaign` in send.py makes one). With ``--beside`` another tree of this
repository is measured in turn with this one: a machine's speed drifts, so that the ratio counts and not the clock. Its
last column is the median of the rounds' ratios; the stages above `take_turn` are parts of it, `move_all` and
`add_attempts` of `record_all`.

Run: python benchmarks/cycle.py CAMPAIGN [--beside TREE] [--messages 10000] [--at-once 42] [--rounds 5]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

HERE = Path(__file__).parents[1]
REPLY = "2.0.0 Ok: queued as 4TWq3Z2xYjz9sXk"


async def measured(folder: Path, messages: int, at_once: int) -> dict[str, float]:
    """Microseconds for a message by stage, with the notifier that this process imports."""
    from notifier.campaign import load
    from notifier.delivery import record, traffic, turn
    from notifier.delivery.limits import Limits
    from notifier.delivery.outcomes import Kind, Outcome, Phase
    from notifier.delivery.replies import load_rules
    from notifier.delivery.report import MailLog, Tally
    from notifier.storage import cycle, deliveries

    settings, rules = load(folder), load_rules(folder)
    policy, limits = record.Policy.of(settings), Limits.of(settings)
    tally, mail_log = Tally(), MailLog(folder)
    spent: Counter[str] = Counter()

    @contextmanager
    def timed(stage: str) -> Any:
        began = time.thread_time_ns()
        yield
        spent[stage] += time.thread_time_ns() - began

    def clocked(module: Any, name: str) -> None:
        inner: Callable[..., Any] = getattr(module, name)

        def outer(*arguments: Any, **named: Any) -> Any:
            began = time.thread_time_ns()
            result = inner(*arguments, **named)
            spent[name] += time.thread_time_ns() - began
            return result

        setattr(module, name, outer)

    clocked(cycle, "transact")
    clocked(turn, "record_all")
    clocked(traffic, "move")
    for name in ("move_all", "add_attempts", "claim", "fetch"):
        clocked(deliveries, name)
    work = turn.take_turn

    def take_turn(connection: Any, **named: Any) -> Any:
        with timed("take_turn"):
            return work(connection, **named)

    ends: list[Any] = []
    done, outstanding, last, number = 0, 0, None, 0
    async with cycle.open_cycle(folder / "campaign.db") as opened:
        epoch = await opened.write(deliveries.next_epoch)
        while done < messages:
            with timed("decide"):
                ways = [record.decide(end.held, end.outcome, now=end.at, policy=policy, roll=0.5) for end in ends]
            wish = turn.Wish(
                list(zip(ends, ways, strict=True)), [], at_once, None, None, "127.0.0.1:2525", 0, None, epoch, True,
                "", "", now := datetime.now(UTC), rules.provider, limits, policy.longest_ms,
                last, outstanding, number=(number := number + 1),
            )  # fmt: skip
            brought = await opened.write(partial(take_turn, vault=None, wish=wish))
            outstanding, last = len(brought.claims), now
            with timed("tell"):
                for fate in brought.fates:
                    tally.add(fate)
                mail_log.write(brought.fates)
            done += len(brought.fates)
            if done == 0:
                spent.clear()  # the first cycle compiles the statements and records nothing
            outcome = Outcome(Kind.ACCEPTED, Phase.FINAL, 250, "2.0.0", REPLY)
            digest = f"{done:064x}"
            ends = [
                record.Ended(held, outcome, datetime.now(UTC), REPLY, os.urandom(72), digest, digest, "127.0.0.1:2525")
                for held in brought.claims
            ]
            if not ends:
                raise SystemExit(f"only {done} messages were due")
    spent["all"] = spent["decide"] + spent["transact"] + spent["tell"]
    spent["begin, commit"] = spent.pop("transact") - spent["take_turn"]
    return {stage: nanoseconds / 1000 / done for stage, nanoseconds in spent.items()}


def run(tree: Path, campaign: Path, options: argparse.Namespace) -> dict[str, float]:
    """One measurement in a process of its own, on a copy of the campaign."""
    with TemporaryDirectory(dir=options.under) as scratch:
        folder = Path(scratch) / "campaign"
        shutil.copytree(campaign, folder)
        arguments = [str(folder), "--one", "--messages", str(options.messages), "--at-once", str(options.at_once)]
        environment = {**os.environ, "PYTHONPATH": str(tree)}
        command = [sys.executable, str(Path(__file__)), *arguments]
        told = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, float] = json.loads(told.stdout)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("campaign", type=Path)
    parser.add_argument("--beside", type=Path, help="another tree of this repository, measured in turn")
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--at-once", type=int, default=42)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--under", type=Path, help="where copies are made; a disk, not a memory")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(asyncio.run(measured(options.campaign, options.messages, options.at_once))))
        return
    trees = [HERE] if options.beside is None else [options.beside.resolve(), HERE]
    rounds = [[run(tree, options.campaign, options) for tree in trees] for _ in range(options.rounds)]
    print(f"{'µs of CPU per message':22}" + "".join(f"{tree.name:>10}" for tree in trees))
    for stage in rounds[0][0]:
        middles = [statistics.median(figures[at][stage] for figures in rounds) for at in range(len(trees))]
        ratio = statistics.median(figures[-1][stage] / figures[0][stage] for figures in rounds)
        print(f"{stage:22}" + "".join(f"{middle:10.1f}" for middle in middles) + f"{ratio:10.2f}" * (len(trees) > 1))


if __name__ == "__main__":
    main()
