"""TLS with a relay: under which conditions, and what its failure means for whoever has to mend it.

Verified, always, and no advice says otherwise: a failure names the setting that is wrong or, where none is, who has to
act. What a certificate's dates are is asked in a session of its own, that verifies nothing and therefore says nothing
but EHLO and STARTTLS.
"""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from pathlib import Path

import aiosmtplib
from cryptography import x509

from notifier.authorities import authority_file
from notifier.campaign import RelayAccess, Tls
from notifier.errors import SettingsError

_NOT_YET, _EXPIRED, _OTHER_HOST, _OTHER_ADDRESS = 9, 10, 62, 64  # X509_V_ERR_… of OpenSSL
_LOOK_SECONDS = 5.0
_WANTED = "TLSV13_ALERT_CERTIFICATE_REQUIRED"
_PERHAPS_WANTED = "SSLV3_ALERT_HANDSHAKE_FAILURE"  # TLS 1.2 says no more, of this or of ciphers
# What a server says of a certificate is said of ours.
_NOT_TAKEN = ("UNKNOWN_CA", "BAD_CERTIFICATE", "CERTIFICATE_EXPIRED", "CERTIFICATE_REVOKED", "CERTIFICATE_UNKNOWN",
              "UNSUPPORTED_CERTIFICATE")  # fmt: skip


def tls_context(section: RelayAccess, setting: str, folder: Path, secret: str | None) -> ssl.SSLContext:
    """``secret``: the password of a locked ``client_key``. Raises SettingsError for files that cannot be used."""
    context = ssl.create_default_context(cafile=authority_file(section, setting, folder))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if section.client_cert is not None:
        certificate, key = folder / section.client_cert, section.client_key and folder / section.client_key
        try:
            # The password is never asked for: nobody stands before a sender at night.
            context.load_cert_chain(certificate, key, password=lambda: secret or "")
        except (OSError, ssl.SSLError, ValueError) as error:
            raise SettingsError(
                f"{setting}.client_cert, client_key: {certificate} and its key cannot be used "
                f"({error.__class__.__name__}): docs/security.md tells where a locked key's password stands"
            ) from error
    return context


def tls_error(error: BaseException) -> ssl.SSLError | None:
    """The failure of TLS that an error comes from, if it comes from one."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLError):
        cause = cause.__cause__
    return cause


async def tls_told(error: ssl.SSLError, section: RelayAccess, setting: str) -> SettingsError:
    """What is said of it."""
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code in (_EXPIRED, _NOT_YET):
            return _of_dates(section, setting, error.verify_code, await _look(section))
        what = f"the certificate of the relay {section.name} does not verify ({error.verify_message})"
        if error.verify_code in (_OTHER_HOST, _OTHER_ADDRESS):
            return SettingsError(f"{what}: set {setting}.host to the name in it")
        return SettingsError(f"{what}: set {setting}.ca_file to its authority's certificate")
    reason = error.reason or "no reason told"
    ours = f"{setting}.client_cert and client_key"
    if reason == _WANTED:
        return SettingsError(
            f"the relay {section.name} wants a certificate of ours ({reason}): set {ours}; whoever runs it issues one"
        )
    if "_ALERT_" in reason and reason.endswith(_NOT_TAKEN):
        return SettingsError(
            f"the relay {section.name} does not take our certificate ({reason}): set {ours} to one that it knows"
        )
    perhaps = f", or, if it wants a certificate of ours, {ours}" if reason == _PERHAPS_WANTED else ""
    return SettingsError(f"no TLS with the relay {section.name} ({reason}): check {setting}.tls and port{perhaps}")


def _of_dates(section: RelayAccess, setting: str, code: int, seen: x509.Certificate | None) -> SettingsError:
    """No setting of ours mends the relay's own certificate; of one above it, the file of authorities may be old."""
    relay, now = f"the relay {section.name}", datetime.now(UTC)
    if code == _EXPIRED:
        if seen is None or seen.not_valid_after_utc < now:
            day = f" on {seen.not_valid_after_utc:%Y-%m-%d}" if seen else ""
            return SettingsError(f"the certificate of {relay} has expired{day}: whoever runs the relay must renew it")
        end = "has expired"
    else:
        if seen is None or seen.not_valid_before_utc > now:
            day = f" before {seen.not_valid_before_utc:%Y-%m-%d}" if seen else " yet"
            return SettingsError(
                f"the certificate of {relay} is not valid{day}: is the clock of this machine right ({now:%Y-%m-%d})? "
                "If it is, whoever runs the relay must replace it"
            )
        end = "is not valid yet"
    file = f", or {setting}.ca_file holds an old one" if section.ca_file else ""
    return SettingsError(
        f"a certificate that vouches for {relay} {end}, not the relay's own: whoever runs it must replace it{file}"
    )


async def _look(section: RelayAccess) -> x509.Certificate | None:
    """The certificate that the server shows, believed by nobody; None if it cannot be had."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    session = aiosmtplib.SMTP(
        hostname=section.host,
        port=section.port,
        use_tls=section.tls is Tls.IMPLICIT,
        start_tls=False,
        tls_context=context,
        timeout=min(section.connect_seconds, _LOOK_SECONDS),
        local_hostname="localhost",
    )
    try:
        await session.connect()
        if section.tls is Tls.STARTTLS:
            await session.starttls(tls_context=context)
        secured = session.transport.get_extra_info("ssl_object") if session.transport else None
        shown = secured.getpeercert(binary_form=True) if secured else None
        return x509.load_der_x509_certificate(shown) if shown else None
    except (aiosmtplib.SMTPException, OSError, ValueError):
        return None
    finally:
        session.close()
