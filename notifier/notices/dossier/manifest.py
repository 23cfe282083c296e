"""The manifest: everything that a dossier shows, and everything that its approval freezes, as one JSON object.

What a signer signs is the SHA-256 of its canonical JSON. So that what is signed is what is frozen, it holds the batch's
digest with the parts that the digest is made of (bound settings, files, segments, the list of notifications as one
hash), and so that what is signed is what was read, it holds each text in full. It has no clock: the same state of the
campaign gives the same bytes. It holds no personal data of persons concerned (I8): their list is there as a hash over
pseudonyms, and the texts speak to an invented person. The format is specified in docs/journal-format.md, section 9.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from notifier.campaign import Settings
from notifier.model import canonical_exposures
from notifier.notices.bound import bound_settings, canonical_json, digest
from notifier.notices.compiled import Reading
from notifier.notices.dossier.projection import project
from notifier.notices.findings import Finding
from notifier.storage.batches import FrozenNotification
from notifier.storage.dossiers import FileIn, WaitingRoute
from notifier.storage.holds import HeldImport
from notifier.storage.segments import StoredSegment

FORMAT = "notifier-approval/1"


@dataclass(frozen=True, slots=True)
class Standing:
    """How the campaign stands around the batch: what is in it, and who is not."""

    routes: Sequence[WaitingRoute]
    deliveries: Mapping[str, int]
    reviews: Mapping[str, int]
    open_rejections: int
    files: Sequence[FileIn]
    held: Sequence[HeldImport]


@dataclass(frozen=True, slots=True)
class Listed:
    """The notifications of a batch, as one hash."""

    notifications: int
    sha256: str


class ListHash:
    """A running SHA-256 over the list of notifications, in the order in which the journal freezes them."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._count = 0

    def add(self, pseudonym: str, frozen: FrozenNotification) -> None:
        """One line per notification: tabs between pseudonym, segment, route, reason, exclusion, delivery."""
        self._hash.update(
            f"{pseudonym}\t{frozen.segment_id}\t{route_of(frozen)}\t{reason_of(frozen)}\t{frozen.excluded}\t"
            f"{frozen.token.hex()}\n".encode()
        )
        self._count += 1

    @property
    def listed(self) -> Listed:
        return Listed(self._count, self._hash.hexdigest())


def route_of(frozen: FrozenNotification) -> str:
    """A notification that a review holds has no route yet."""
    return "held" if frozen.review else frozen.route


def reason_of(frozen: FrozenNotification) -> str:
    return frozen.review or frozen.route_reason


def make_manifest(
    *,
    campaign_id: str,
    settings: Settings,
    wave: str,
    number: int,
    files: Mapping[str, bytes],
    segments: Sequence[StoredSegment],
    readings: Mapping[int, Reading],
    listed: Listed,
    standing: Standing,
    findings: Sequence[Finding],
    previous: tuple[int, str] | None,
) -> dict[str, Any]:
    """``readings``: segment → its notice as an invented person reads it; ``previous``: number and manifest hash of the
    wave's last approved batch."""
    bound = bound_settings(settings, wave)
    hashes = {path: hashlib.sha256(content).hexdigest() for path, content in sorted(files.items())}
    told = [_told(segment) for segment in segments]
    frozen = {
        "wave": wave,
        "bound": bound,
        "files": hashes,
        "segments": told,
        "list": {"notifications": listed.notifications, "sha256": listed.sha256},
    }
    return {
        "format": FORMAT,
        "campaign": campaign_id,
        "batch": number,
        "kind": segments[0].key.wave_kind.value if segments else "",
        **frozen,
        "digest": digest(frozen),
        "texts": _texts(readings),
        "routes": [route._asdict() for route in standing.routes],
        "deliveries": dict(standing.deliveries),
        "reviews": dict(standing.reviews),
        "open_rejections": standing.open_rejections,
        "files_in": [file._asdict() for file in standing.files],
        "files_held": [
            {"kind": file.kind, "sha256": file.sha256, "reason": file.reason, "rows": file.rows}
            for file in standing.held
        ],
        "findings": [
            {"code": each.code, "severity": each.severity, "where": each.where, "text": each.text} for each in findings
        ],
        "projection": _projected(settings, standing.deliveries.get("mail", 0)),
        "approval": {
            "required": settings.approval.required,
            "author": settings.approval.author,
            "signers": [
                {"name": each.name, "role": each.role, "key": _key_text(each.public_key)}
                for each in settings.approval.signers
            ],
        },
        "previous": {"batch": previous[0], "sha256": previous[1]} if previous else {},
    }


def spell(manifest: Mapping[str, Any]) -> tuple[str, str]:
    """Its canonical JSON, and the SHA-256 of that in hex: the one hash."""
    text = canonical_json(manifest)
    return text, hash_of(text)


def hash_of(text: str) -> str:
    """The one hash of a manifest that is spelled already."""
    return hashlib.sha256(text.encode()).hexdigest()


def _texts(readings: Mapping[int, Reading]) -> list[dict[str, Any]]:
    """Each distinct text once, with the segments that get it."""
    found: dict[Reading, list[int]] = {}
    for segment, reading in sorted(readings.items()):
        found.setdefault(reading, []).append(segment)
    return [
        {
            "segments": segments,
            "subject": reading.subject,
            "text": reading.text,
            "html_sha256": hashlib.sha256(reading.html.encode()).hexdigest(),
        }
        for reading, segments in found.items()
    ]


def _told(segment: StoredSegment) -> dict[str, str | int]:
    key = segment.key
    return {
        "id": segment.id,
        "sender": key.sender,
        "audience": key.audience.value,
        "profession": key.profession,
        "form": key.form.value,
        "exposures": canonical_exposures(key.exposures),
        "language": key.language,
        "notifications": segment.waiting,
    }


def _projected(settings: Settings, messages: int) -> dict[str, Any]:
    """The pace and where it leads. Numbers are whole, the rate a text: canonical JSON has no floats here."""
    relay, pace = settings.relay, settings.pace
    end = project(
        messages,
        rate=relay.rate,
        hours=pace.hours,
        per_hour=pace.hotline_per_hour,
        per_day=pace.hotline_per_day,
        warm_up=pace.warm_up,
    )
    by = settings.campaign.notify_by
    return {
        "messages": messages,
        "rate": f"{relay.rate or 0:g}",
        "notify_by": by.isoformat() if by else "",
        "known": end is not None,
        "days": end.days if end else 0,
        "ends": end.ends if end else 0,
        "seconds": end.seconds if end else 0,
        "latest_start": end.latest_start(by).isoformat() if end and by else "",
    }


def _key_text(public_key: str) -> str:
    """A key without its comment."""
    return " ".join(public_key.split()[:2])
