"""A name server of the tests' own, on 127.0.0.1 over UDP: says what it is told to say, or nothing."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset
from dns.rdtypes.ANY.TXT import TXT

SILENT, FAILS = "(silent)", "(servfail)"

# (name, type) → its records; a name that is nowhere does not exist.
Zone = Mapping[tuple[str, str], list[str]]


@contextmanager
def name_server(zone: Zone, mood: str = "") -> Iterator[str]:
    """``address:port`` of a server that answers from ``zone`` until the block ends."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=_serve, args=(server, zone, mood), daemon=True)
        thread.start()
        try:
            yield f"127.0.0.1:{server.getsockname()[1]}"
        finally:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ending:
                ending.sendto(b"end", server.getsockname())
            thread.join(10)


def _serve(server: socket.socket, zone: Zone, mood: str) -> None:
    while True:
        wire, client = server.recvfrom(4096)
        if wire == b"end":
            return
        if mood != SILENT:
            server.sendto(_answer(wire, zone, mood).to_wire(), client)


def _answer(wire: bytes, zone: Zone, mood: str) -> dns.message.Message:
    asked = dns.message.from_wire(wire)
    [question] = asked.question
    answer = dns.message.make_response(asked)
    answer.flags |= dns.flags.RA | dns.flags.AA
    name, kind = question.name.to_text(omit_final_dot=True).lower(), dns.rdatatype.to_text(question.rdtype)
    values = zone.get((name, kind), [])
    if mood == FAILS or values == [FAILS]:
        answer.set_rcode(dns.rcode.SERVFAIL)
    elif values:
        records = [_record(kind, value) for value in values]
        answer.answer.append(dns.rrset.from_rdata_list(question.name, 60, records))
    elif not any(there == name for there, _ in zone):
        answer.set_rcode(dns.rcode.NXDOMAIN)
    return answer


def _record(kind: str, value: str) -> dns.rdata.Rdata:
    if kind == "TXT":  # strings of at most 255 bytes (RFC 1035 3.3.14)
        raw = value.encode()
        parts = [raw[start : start + 255] for start in range(0, len(raw), 255)]
        return TXT(dns.rdataclass.IN, dns.rdatatype.TXT, parts)
    return dns.rdata.from_text(dns.rdataclass.IN, dns.rdatatype.from_text(kind), value)
