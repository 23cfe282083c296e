"""The sealer gives entries their place in the Merkle tree and signs checkpoints over them.

Promises: leaf indexes go in order of entry id and are never changed; the leaves and the checkpoint over them are
committed together, so that a crash leaves the journal sealed up to some checkpoint and the rest unsealed, to be sealed
by the next call. Sealing n entries reads n entries: the frontier of the last checkpoint is stored with it.

Safe while a sender appends: it works in slices, each one short write transaction. Fatal: stored leaves that contradict
the stored checkpoint (JournalError); what is found cheaply here, `proof export` finds entirely.
"""

from __future__ import annotations

from datetime import datetime

from notifier.errors import JournalError
from notifier.journal.checkpoints import Checkpoint, key_name, parse_checkpoint, sign_checkpoint
from notifier.journal.merkle import Frontier, leaf_hash
from notifier.storage import checkpoints, journal
from notifier.storage.database import Connection, Database
from notifier.vault import Vault

SLICE = 50_000  # entries under one write lock: about half a second
RECHECKED = 256  # stored leaves that are hashed again before each sealing, at most


async def seal(database: Database, vault: Vault, *, reason: str, now: datetime) -> Checkpoint | None:
    """Seal every entry that was committed before the call; the last checkpoint made, or None when nothing was new."""
    made: Checkpoint | None = None
    while True:
        async with database.write() as connection:
            checkpoint, sealed = await seal_slice(connection, vault, reason=reason, now=now, limit=SLICE)
        made = checkpoint or made
        if sealed < SLICE:
            return made


async def seal_slice(
    connection: Connection, vault: Vault, *, reason: str, now: datetime, limit: int
) -> tuple[Checkpoint | None, int]:
    """Seal up to ``limit`` entries in the caller's write transaction: the checkpoint (None: nothing new), and how many.

    Raises JournalError when the stored leaves, frontier and checkpoint do not fit together.
    """
    frontier, last_entry = await _resume(connection, vault)
    rows = await journal.unsealed(connection, last_entry, limit)
    if not rows:
        return None, 0
    leaves: list[tuple[int, int, bytes]] = []
    for entry_id, salt, body in rows:
        leaf = stored_leaf(salt, body)
        leaves.append((frontier.size, entry_id, leaf))
        frontier.append(leaf)
    await journal.add_leaves(connection, leaves)
    checkpoint = sign_checkpoint(
        Checkpoint(key_name(vault.campaign_id), frontier.size, frontier.root()), vault.public_key, vault.sign
    )
    row = checkpoints.CheckpointRow(checkpoint.size, checkpoint.root, frontier.dump(), checkpoint.note)
    await checkpoints.add(connection, row, reason=reason, at=now)
    return checkpoint, len(rows)


def stored_leaf(salt: bytes, body: bytes) -> bytes:
    """The leaf hash of a stored entry. SQLite lets a column of bytes hold text: only a change past us puts it there."""
    try:
        return leaf_hash(salt, body)
    except TypeError as error:
        raise JournalError("an entry is stored as text, not as bytes: it was altered") from error


async def _resume(connection: Connection, vault: Vault) -> tuple[Frontier, int]:
    """The frontier of the last checkpoint and the last sealed entry's id, after both were held against the leaves."""
    stored = await checkpoints.latest(connection)
    last = await journal.last_leaf(connection)
    if stored is None:
        if last is not None:
            raise JournalError("the journal has leaves but no checkpoint: checkpoints were removed")
        return Frontier(), 0
    signed = parse_checkpoint(stored.note, key_name(vault.campaign_id), vault.public_key)
    try:
        frontier = Frontier.load(stored.tree_size, stored.frontier)
    except ValueError as error:
        raise JournalError("the last checkpoint's frontier was altered") from error
    if not frontier.root() == stored.root == signed.root or signed.size != stored.tree_size:
        raise JournalError("the last checkpoint contradicts its own signature: the journal was altered")
    if last is None or last.index != stored.tree_size - 1:
        raise JournalError("the leaves end elsewhere than the last checkpoint: entries or leaves were removed")
    if stored_leaf(last.salt, last.body) != last.leaf_hash:
        raise JournalError("the last sealed entry was altered after it was sealed")
    await _recheck(connection, frontier)
    return frontier, last.entry_id


async def _recheck(connection: Connection, frontier: Frontier) -> None:
    """Hash the newest leaves again, as far as they make whole subtrees of the frontier within RECHECKED leaves."""
    end = frontier.size
    for peak in reversed(frontier.peaks):
        width = end & -end
        if frontier.size - end + width > RECHECKED:
            return
        subtree = Frontier()
        for _, stored, salt, body in await journal.sealed(connection, end - width, end):
            if stored_leaf(salt, body) != stored:
                raise JournalError("a sealed entry was altered after it was sealed")
            subtree.append(stored)
        if subtree.size != width or subtree.root() != peak:
            raise JournalError("the newest leaves contradict the last checkpoint: the journal was altered")
        end -= width
