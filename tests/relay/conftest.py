"""A campaign's rows beside a scripted relay, and one function that sends."""

from __future__ import annotations

import asyncio
import ssl
from datetime import UTC, datetime

import pytest
import trustme

from notifier.delivery.report import SendReport
from notifier.delivery.sender import send
from tests.delivery.rows import Rows, tiny_notice, tuned
from tests.relay.server import Server, serving
from tests.relay.written import written

__all__ = ["written"]


@pytest.fixture
def rows(folder, vault) -> Rows:
    return Rows(folder / "campaign.db", vault)


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def authority(tmp_path) -> trustme.CA:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    return authority


@pytest.fixture
def certificate(authority) -> ssl.SSLContext:
    """The server's."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.fixture
def sending(opened, vault, settings, folder):
    """``sending(server, wave=…, connections=2)``: one run of the sender against the server; its report."""

    def run(
        server: Server | None, *, tune: dict | None = None, meanwhile=None, loop=None, implicit=None, **arguments
    ) -> SendReport:
        async def whole() -> SendReport:
            async with opened() as database:
                if server is None:
                    return await send(
                        database, vault, tuned(settings, **(tune or {})), folder, tiny_notice, **arguments
                    )
                async with serving(server, implicit=implicit):
                    given = {"notice_for": tiny_notice, "clock": lambda: datetime.now(UTC), **arguments}
                    chosen = tuned(settings, port=server.port, **(tune or {}))
                    beside = asyncio.ensure_future(meanwhile(database)) if meanwhile else None
                    report = await send(database, vault, chosen, folder, **given)
                    if beside is not None:
                        await beside
                    return report

        server and server.closing.clear()
        with asyncio.Runner(loop_factory=loop) as runner:
            return runner.run(whole())

    return run
