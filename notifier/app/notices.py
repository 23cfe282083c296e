"""Previews, checks and approvals."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from notifier.app.delivery import forecast
from notifier.app.opened import App, know_wave, seal, utc_now
from notifier.errors import CampaignBusy, OperatorError

if TYPE_CHECKING:
    from notifier.delivery.examination import Examined
    from notifier.model import WaveKind
    from notifier.notices.approval import Approval
    from notifier.notices.dossier.requests import Dossier
    from notifier.notices.lint import Finding
    from notifier.notices.matrix import Matrix
    from notifier.notices.sender_domain import DomainReport
    from notifier.notices.taking_back import TakenBack
    from notifier.storage.untold import Waiting

SIGNATURE_BYTES = 65_536  # more than any signature has


async def write_preview(app: App, out: Path, *, wave: str, segment: int | None) -> list[Path]:
    """The notices of a wave's segments as files."""
    from notifier.notices.preview import write_preview as write
    from notifier.storage.segments import segments_of
    from notifier.storage.waves import planned_at

    await know_wave(app, wave, may_be_first=True)
    async with app.database.read() as connection:
        counted, planned = await segments_of(connection, wave), await planned_at(connection, wave)
    if segment is not None and segment not in {each.id for each in counted}:
        raise OperatorError(f"wave {wave} has no segment {segment}: `notifier plan --json` lists them")
    if planned is None:
        return []
    return write(app.folder, app.settings, counted, out, planned=planned, segment=segment)


async def list_notices(app: App, kind: WaveKind) -> Matrix:
    """The matrix of texts for rounds of a kind, with the notifications that are planned."""
    from notifier.notices.catalogue import Catalogue
    from notifier.notices.matrix import own_files, read_matrix
    from notifier.storage.segments import segments_of
    from notifier.storage.waves import waves

    async with app.database.read() as connection:
        planned = [
            segment
            for wave in await waves(connection)
            if wave.kind == kind.value
            for segment in await segments_of(connection, wave.name)
        ]
    counted = [(segment.key, segment.notifications) for segment in planned]
    return read_matrix(own_files(app.folder), counted, Catalogue.load(app.folder, app.settings), app.settings, kind)


async def check_wave(app: App, wave: str) -> tuple[list[Finding], list[Examined], list[DomainReport]]:
    """Findings on texts and settings, what each relay says that a run may use (one whose host or rate is blank is left
    out, a finding tells so), and what the DNS says of each sender's domain; all of it in seconds, whoever does not
    answer."""
    from notifier.delivery.examination import examine
    from notifier.notices.approval import findings
    from notifier.notices.places import settings_places

    await know_wave(app, wave, may_be_first=True)
    found = await findings(app.database, app.settings, app.folder, wave=wave, now=utc_now())
    others = [
        *_key_findings(app),
        *_program_findings(app),
        *await _space_findings(app),
        *await _address_findings(app),
        *await _sender_findings(app),
    ]
    others += [*_rate_findings(app), *await _deadline_findings(app)]
    domains = await _domains(app)
    others += [finding for report in domains for finding in report.findings]
    found += settings_places(app.folder).located(others)
    return sorted(found, key=lambda finding: finding.severity), await examine(app.settings, app.folder), domains


async def _domains(app: App) -> list[DomainReport]:
    """What the DNS says. A sample's domains are invented: it is asked only if somebody names a server for it."""
    from notifier.dkim import load_signer
    from notifier.errors import SettingsError
    from notifier.notices.name_server import ask
    from notifier.notices.sender_domain import DomainReport, judge, questions

    senders, dns = app.settings.senders, app.settings.dns
    if app.settings.campaign.sample and not dns.server:
        why = dict.fromkeys(("SPF", "DKIM", "DMARC", "MX"), "a sample's domain is invented")
        return [DomainReport(sender.code, sender.from_domain, not_checked=why) for sender in senders]
    signed = []
    for sender in senders:
        try:
            signed.append((sender, load_signer(sender, app.folder)))
        except SettingsError:  # a finding says so
            signed.append((sender, None))
    answers = await ask((each for pair in signed for each in questions(*pair)), dns)
    return [judge(sender, signer, answers) for sender, signer in signed]


def _key_findings(app: App) -> list[Finding]:
    """Whether somebody else on this machine can read the key (with the database it is as good as the file of NIRs),
    whether its copy is one, and whether its head can be kept."""
    from notifier.notices.findings import Finding
    from notifier.vault import is_copy_of

    found = []
    path = app.folder / app.settings.key.path
    mode = path.stat().st_mode & 0o777 if path.is_file() else 0
    if mode & 0o077:
        text = f"others on this machine can read the key file (mode {mode:04o}): chmod 600 {path}"
        found.append(Finding("key-mode", "key.path", text))
    if (backup := app.settings.key.backup) is not None and not is_copy_of(app.folder / backup, app.vault):
        text = f"{app.folder / backup} is no copy of this campaign's key, or cannot be read: make one there"
        found.append(Finding("key-backup", "key.backup", text))
    if not os.access(app.head.parent, os.W_OK | os.X_OK):
        text = (
            f"this user cannot write in {app.head.parent}, where the campaign's head is kept: a backup of the database "
            "that is restored will not be noticed (docs/backups.md)"
        )
        found.append(Finding("head-not-kept", "key.path", text, "warning"))
    return found


async def _space_findings(app: App) -> list[Finding]:
    """Whether what sending writes has room on the disk."""
    from notifier.delivery.space import free, too_little
    from notifier.notices.findings import Finding
    from notifier.storage.room import mail_waiting

    async with app.database.read() as connection:
        waiting = await mail_waiting(connection)
    where = app.database.path.parent
    text = too_little(waiting, free(where), where)
    return [Finding("disk-space", "database", text)] if text else []


def _program_findings(app: App) -> list[Finding]:
    """Programs of [send] that cannot be run: better known now than at night."""
    from notifier.delivery.wake import missing
    from notifier.notices.findings import Finding

    text = "no such program, or it may not be run: nobody would be woken"
    return [Finding("wake-command", setting, text, "warning") for setting in missing(app.settings, app.folder)]


def _rate_findings(app: App) -> list[Finding]:
    """Rates that nobody would keep."""
    from notifier.delivery.paces import unknown_rates
    from notifier.delivery.replies import load_rules
    from notifier.notices.findings import Finding

    known = load_rules(app.folder).providers
    text = f"there is no such provider in data/providers.toml (there are {', '.join(sorted(known))})"
    return [Finding("pace-unknown-provider", f"pace.rates.{name}", text) for name in unknown_rates(app.settings, known)]


async def _deadline_findings(app: App) -> list[Finding]:
    """Whether what is planned will have gone out on the day that was promised."""
    from notifier.delivery.limits import Limits
    from notifier.notices.freshness import check_end

    campaign, limits = app.settings.campaign, Limits.of(app.settings)
    if campaign.notify_by is None or app.settings.drill is not None:
        return []
    made = await forecast(app)
    if not made.is_late(campaign.notify_by, limits):
        return []
    end = "beyond two years" if made.ends_at is None else f"{made.ends_at.astimezone(limits.zone):%Y-%m-%d %H:%M}"
    return check_end(app.settings, utc_now().astimezone(limits.zone).date(), end, made.limited_by)


async def _must_be_in_time(app: App) -> None:
    """An approval is given for an end that was shown, and that is in time or accepted in writing."""
    for finding in await _deadline_findings(app):
        if finding.severity == "error":
            raise OperatorError(f"{finding.where}: {finding.text}")


async def _address_findings(app: App) -> list[Finding]:
    """Addresses of so many members that they are nobody's own: an agency's, typed in for those without one."""
    from notifier.intake import mailboxes
    from notifier.notices.findings import Finding
    from notifier.people.agencies import Addresses, count_shared

    rules = mailboxes.rules(app.folder)
    addresses, members = await count_shared(
        app.database, app.vault, app.settings, Addresses(rules.addresses, rules.fine)
    )
    if not addresses:
        return []
    least = app.settings.intake.shared_mailbox
    text = (
        f"{members} members have one of {addresses} addresses that {least} members or more share ([intake] "
        "shared_mailbox): an agency's own, as a rule, where all their notices would go. `plan` has these members "
        "written to by letter. An address that is right all the same: put it into [shared] fine of data/mailboxes.toml "
        "in the campaign's folder, and run `plan`"
    )
    return [Finding("shared-mailbox", "directory", text, "warning")]


async def _sender_findings(app: App) -> list[Finding]:
    """Whether anybody would be told through another sender's contact, or in its words."""
    from notifier.notices.findings import Finding
    from notifier.storage.coverage import of_another_sender

    async with app.database.read() as connection:
        crossing = await of_another_sender(connection)
    if not crossing:
        return []
    text = (
        f"{crossing} persons hang on a contact or a text of another sender: nothing may be sent; report it as a fault"
    )
    return [Finding("contact-of-another-sender", "people", text)]


async def describe_batch(app: App, wave: str) -> tuple[list[str], int]:
    """What `approve` is about to freeze, in lines, and how many notifications."""
    from notifier.notices.approval import describe

    await know_wave(app, wave)
    return await describe(app.database, app.settings, app.folder, wave=wave)


async def request_approval(app: App, wave: str, out: Path, *, overwrite: bool) -> Dossier | None:
    """The dossier of what waits for an approval, written to ``out``, with a PDF where Typst is installed. None: nothing
    waits."""
    from notifier.notices.dossier.folder import check_place, write_dossier
    from notifier.notices.dossier.pdf import PDF, draw_pdf
    from notifier.notices.dossier.requests import request

    await know_wave(app, wave)
    for finding in await _sender_findings(app):
        raise OperatorError(finding.text)
    await _must_be_in_time(app)
    check_place(out, overwrite=overwrite)
    made = await request(app.database, app.vault, app.settings, app.folder, wave=wave, by=app.by, now=utc_now())
    if made is None:
        return None
    pdf = draw_pdf(made.document, footer=made.sha256)
    drawn = replace(made, files={**made.files, **({} if pdf is None else {PDF: pdf})})
    write_dossier(out, drawn.files, overwrite=overwrite)
    return drawn


async def approve_wave(app: App, wave: str, signatures: Sequence[Path] = ()) -> Approval:
    """Freeze the batch, and let the checkpoint over it be one that leaves the house. ``signatures``: files that hold
    one each, over the dossier that was requested last."""
    from notifier.notices.approval import approve

    for finding in await _sender_findings(app):
        raise OperatorError(finding.text)
    await _must_be_in_time(app)
    made = await approve(
        app.database,
        app.vault,
        app.settings,
        app.folder,
        wave=wave,
        by=app.by,
        now=utc_now(),
        signatures=[_armoured(path) for path in signatures],
    )
    await seal(app, reason="approval")
    return made


async def look_at_approved(app: App, wave: str) -> Waiting:
    """What :func:`take_back_approval` would take back. Raises OperatorError; CampaignBusy while a sender runs."""
    from notifier.notices.taking_back import look
    from notifier.storage.lock import holder

    await know_wave(app, wave)
    if (sender := holder(app.folder)) is not None:
        raise CampaignBusy(f"the campaign is being sent by process {sender.pid} since {sender.since}: `notifier pause`")
    return await look(app.database, wave)


async def take_back_approval(app: App, wave: str, why: str, *, takes_over: bool = False) -> TakenBack:
    """Take the approval back of what told nobody. What a sender that was killed left marked is put in doubt before, as
    the next `send` would. ``takes_over``: from another machine. Raises CampaignBusy while a sender runs, OtherHost;
    nothing was changed then."""
    from notifier.delivery.reasons import impersonal
    from notifier.delivery.recovery import recover_without_run
    from notifier.delivery.replies import listed_domains, load_rules
    from notifier.delivery.report import MailLog
    from notifier.delivery.seat import Seat
    from notifier.notices.taking_back import take_back
    from notifier.storage.cycle import open_cycle
    from notifier.storage.lock import sender_lock

    said = impersonal(why, (), listed_domains(load_rules(app.folder)))
    with sender_lock(app.folder, utc_now()):
        with closing(MailLog(app.folder)) as mail_log:
            async with open_cycle(app.database.path) as cycle:
                seat = Seat(app.host, takes_over)
                work = partial(recover_without_run, vault=app.vault, settings=app.settings, seat=seat, by=app.by)
                fates = await cycle.write(partial(work, now=utc_now()))
                mail_log.write(fates)
        orphans = {fate.ended.held.token for fate in fates if fate.kind == "in_doubt" and fate.ended.held.wave == wave}
        return await take_back(app.database, app.vault, wave=wave, why=said, by=app.by, now=utc_now(), orphans=orphans)


def _armoured(path: Path) -> str:
    """A signature's file as text; what is not text is no signature, and is told so later."""
    if path.stat().st_size > SIGNATURE_BYTES:
        raise OperatorError(f"{path} is too large for a signature: name the .sig file")
    return path.read_bytes().decode("ascii", "replace")
