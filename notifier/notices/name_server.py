"""Questions to the DNS, all at once and within a few seconds (RFC 1035).

What a name server says is told from its silence: "there is no such record" is an answer, a timeout is none, and nobody
may take the second for the first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address

import dns.asyncresolver
import dns.exception
import dns.rdatatype
import dns.resolver
from dns.rdtypes.ANY.MX import MX
from dns.rdtypes.ANY.TXT import TXT

from notifier.campaign import DnsSection
from notifier.errors import SettingsError

Question = tuple[str, str]  # name, type


@dataclass(frozen=True, slots=True)
class Answer:
    """``values``: the records as text, none if there are none. ``fault``: why there is no answer; "" = there is one."""

    values: tuple[str, ...] = ()
    fault: str = ""


async def ask(questions: Iterable[Question], how: DnsSection) -> Mapping[Question, Answer]:
    """An answer to each question, after at most ``how.seconds`` (and a moment). Raises SettingsError for a server that
    is no address."""
    wanted = sorted(set(questions))
    try:
        resolver = _resolver(how)
    except dns.resolver.NoResolverConfiguration:
        return dict.fromkeys(wanted, Answer(fault="this machine knows no name server"))
    async with asyncio.TaskGroup() as group:
        tasks = {question: group.create_task(_ask(resolver, question, how.seconds)) for question in wanted}
    return {question: task.result() for question, task in tasks.items()}


def _resolver(how: DnsSection) -> dns.asyncresolver.Resolver:
    resolver = dns.asyncresolver.Resolver(configure=not how.server)
    if how.server:
        host, port = how.server, "53"
        if how.server.startswith("["):
            host, _, rest = how.server[1:].partition("]")
            port = rest.removeprefix(":") or port
        elif how.server.count(":") == 1:
            host, port = how.server.split(":")
        try:
            resolver.nameservers = [str(ip_address(host))]
            resolver.port = int(port)
        except ValueError as error:
            raise SettingsError("dns.server: write an address, or address:port (127.0.0.1:53)") from error
    resolver.lifetime = how.seconds
    resolver.timeout = how.seconds / 2
    resolver.use_edns(0, 0, 1232)  # a DKIM key does not fit into 512 bytes (RFC 6891)
    return resolver


async def _ask(resolver: dns.asyncresolver.Resolver, question: Question, seconds: float) -> Answer:
    name, kind = question
    try:
        async with asyncio.timeout(seconds + 0.5):
            found = await resolver.resolve(name, kind, search=False)
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return Answer()
    except (dns.exception.Timeout, TimeoutError):
        return Answer(fault=f"no name server answered within {seconds:g} s")
    except dns.resolver.NoNameservers:
        return Answer(fault="the name server could not say (SERVFAIL or worse)")
    except (dns.exception.DNSException, OSError) as error:
        return Answer(fault=f"the question failed ({type(error).__name__})")
    return Answer(tuple(_text(record) for record in found))


def _text(record: object) -> str:
    if isinstance(record, TXT):
        return b"".join(record.strings).decode("utf-8", "replace")
    if isinstance(record, MX):
        return f"{record.preference} {record.exchange}"
    return str(record)
