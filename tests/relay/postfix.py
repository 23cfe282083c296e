"""A Postfix of the test's own: configuration, queue and log in one folder, on loopback ports, ended with the test."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import trustme

MASTER = """
{port} inet n - n - - smtpd
{implicit} inet n - n - - smtpd -o smtpd_tls_wrappermode=yes
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
proxymap unix - - n - - proxymap
error unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
"""

MAIN = """
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
command_directory = /usr/sbin
daemon_directory = {daemons}
mail_owner = postfix
setgid_group = postdrop
maillog_file = {folder}/mail.log
maillog_file_prefixes = {folder}
inet_interfaces = loopback-only
inet_protocols = ipv4
myhostname = relay.example
mydestination =
mynetworks = 127.0.0.0/8
default_transport = discard
local_transport = discard
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_recipient_restrictions = check_recipient_access inline:{{{{refused@courriel.example = 550 5.1.1 no such user}},
    {{later@courriel.example = 450 4.2.0 mailbox busy}}}}
smtpd_tls_security_level = may
smtpd_tls_cert_file = {folder}/server.pem
smtpd_tls_key_file = {folder}/server.key
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
"""


def missing() -> str:
    """Why there is no Postfix here; "" if there is one."""
    if shutil.which("postfix") is None:
        return "Postfix is not installed (Debian: postfix)"
    return "" if os.geteuid() == 0 else "Postfix starts as root only"


@dataclass(frozen=True)
class Postfix:
    port: int
    implicit: int
    ca_file: Path
    folder: Path

    def took(self, prefix: str, wanted: int) -> list[str]:
        """The recipients that begin so and whose messages it has answered for, by its own log, once these are
        ``wanted`` (it writes when it has done its work, which is after its answer to us)."""
        for _ in range(500):
            log = (self.folder / "mail.log").read_text(errors="replace")
            found = re.findall(rf"discard\[\d+\]: \w+: to=<({re.escape(prefix)}[^>]+)>.*status=sent", log)
            if len(found) >= wanted:
                break
            time.sleep(0.02)
        return found


@contextmanager
def postfix() -> Iterator[Postfix]:
    """Started, and ended. Not in pytest's own folder: that one is closed to the user that Postfix becomes."""
    folder = Path(tempfile.mkdtemp(prefix="postfix-"))
    folder.chmod(0o755)
    try:
        ports = _free(2)
        authority = trustme.CA()
        authority.cert_pem.write_to_path(folder / "ca.pem")
        certificate = authority.issue_cert("127.0.0.1")
        (folder / "server.pem").write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
        certificate.private_key_pem.write_to_path(folder / "server.key")
        (folder / "server.key").chmod(0o600)
        for name in ("queue", "data", "conf"):
            (folder / name).mkdir(mode=0o755)
        shutil.chown(folder / "data", "postfix")
        daemons = subprocess.run(["postconf", "-dh", "daemon_directory"], capture_output=True, text=True, check=True)
        main = MAIN.format(folder=folder, daemons=daemons.stdout.strip())
        (folder / "conf" / "main.cf").write_text(main)
        addresses = {"port": f"127.0.0.1:{ports[0]}", "implicit": f"127.0.0.1:{ports[1]}"}
        (folder / "conf" / "master.cf").write_text(MASTER.format(**addresses))
        process = subprocess.Popen(
            ["postfix", "-c", str(folder / "conf"), "start-fg"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            _wait_for(ports[0], process)
            yield Postfix(ports[0], ports[1], folder / "ca.pem", folder)
        finally:
            subprocess.run(["postfix", "-c", str(folder / "conf"), "abort"], capture_output=True, check=False)
            process.terminate()
            process.wait(10)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _free(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def _wait_for(port: int, process: subprocess.Popen) -> None:
    for _ in range(300):
        assert process.poll() is None, "Postfix ended at once"
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 10) as connection:
            connection.settimeout(10)
            if connection.recv(3) == b"220":
                return
        time.sleep(0.05)
    raise AssertionError("Postfix does not greet")
