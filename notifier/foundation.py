"""Founding a campaign: the folder, its settings, its key, its database (`init`).

Everything is made in a folder beside the wanted one and moved into place at the end, so that a crash leaves either no
campaign or a whole one. The key of a real campaign lies outside the folder (DESIGN 6): key and database together are as
good as the file of NIRs.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from notifier.campaign import FILE, load, shipped
from notifier.errors import SettingsError
from notifier.journal import head_file, heads
from notifier.journal.sealer import seal
from notifier.model import DRILL_ID, Entry
from notifier.storage import journal
from notifier.storage.database import create_database, open_database, sqlite_path
from notifier.vault import CAMPAIGN, DRILL, Keys, Vault, config_home, read_keys, write_key_file

FOLDERS = ("rejections", "logs")
SAMPLE_KEY = "campaign.key"
_KEY_BLANK = "@KEY@"


@dataclass(frozen=True)
class Founded:
    """What `init` made, or found."""

    campaign_id: str
    key_path: Path
    fingerprint: str
    already: bool


def found(
    directory: Path, *, sample: bool, environment: Mapping[str, str] = os.environ, drill: str | None = None
) -> Founded:
    """Make a campaign in ``directory``, which must be new or empty. A campaign that is there already is left alone.
    ``drill``: the whole campaign.toml of a rehearsal, whose key is of another kind and lies in its folder: it protects
    invented persons."""
    directory = directory.absolute()
    if (directory / FILE).exists():
        settings = load(directory, environment)
        vault = Vault(read_keys(directory / settings.key.path, environment))
        return Founded(vault.campaign_id, directory / settings.key.path, vault.fingerprint, already=True)
    if directory.exists() and any(directory.iterdir()):
        raise SettingsError(f"{directory} is not empty and holds no {FILE}: name a new folder")
    campaign_id = ("" if drill is None else DRILL_ID) + base64.b32encode(secrets.token_bytes(5)).decode().lower()
    keys = Keys.new(campaign_id)
    vault = Vault(keys)
    inside = sample or drill is not None
    key_path = directory / SAMPLE_KEY if inside else config_home(environment) / "notifier" / f"{campaign_id}.key"
    beside = directory.parent / f".{directory.name}.{campaign_id}"
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        name = "sample.toml" if sample else "blank.toml"
        text = drill or (shipped("data") / "campaign" / name).read_text(encoding="utf-8")
        _make(beside, vault, keys, key_path, text, inside=inside, environment=environment)
        _move(beside, directory)
    except OSError as error:
        raise SettingsError(f"no campaign can be made in {directory}: {error.strerror}") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return Founded(campaign_id, key_path, vault.fingerprint, already=False)


def _move(beside: Path, directory: Path) -> None:
    """Into place. An empty folder that exists may be somebody's working directory: it is filled, not replaced, and
    campaign.toml comes last, because its presence says that the campaign is whole."""
    if not directory.exists():
        beside.rename(directory)
        return
    # Not the mode of the folder that was there: a campaign is its operator's alone.
    with contextlib.suppress(OSError):
        directory.chmod(0o700)
    for child in sorted(beside.iterdir(), key=lambda path: path.name == FILE):
        child.rename(directory / child.name)


def _make(
    beside: Path,
    vault: Vault,
    keys: Keys,
    key_path: Path,
    text: str,
    *,
    inside: bool,
    environment: Mapping[str, str],
) -> None:
    now = datetime.now(UTC)
    beside.mkdir(mode=0o700)
    for name in FOLDERS:
        (beside / name).mkdir(mode=0o700)
    text = text.replace(_KEY_BLANK, str(key_path).replace("\\", "\\\\"))
    (beside / FILE).write_text(text, encoding="utf-8")
    (beside / FILE).chmod(0o600)
    settings = load(beside, environment={})
    database = sqlite_path(settings.database, beside)
    create_database(database, vault, now)
    asyncio.run(begin_journal(database, vault, now))
    # SQLite folds the log away when the last connection closes; the three files move together all the same.
    key_now = beside / SAMPLE_KEY if inside else key_path
    write_key_file(key_now, keys)
    asyncio.run(begin_head(database, vault, head_file.place(key_now, vault.campaign_id, environment)))
    with contextlib.suppress(OSError):
        beside.chmod(0o700)


async def begin_head(database_path: Path, vault: Vault, path: Path) -> None:
    """The first head, by which a database that is restored later is known."""
    async with open_database(database_path, vault) as database:
        await heads.keep(database, vault.campaign_id, path)


async def begin_journal(database_path: Path, vault: Vault, now: datetime) -> None:
    """The entry that says whose journal this is, and of which kind of campaign: each journal begins with it, and a
    proof without it is refused."""
    kind = DRILL if vault.is_drill else CAMPAIGN
    facts = {"campaign": vault.campaign_id, "kind": kind, "fingerprint": vault.fingerprint}
    async with open_database(database_path, vault) as database:
        async with database.write() as connection:
            await journal.append(connection, [Entry(now, "campaign_created", "", facts)])
        await seal(database, vault, reason="init", now=now)
