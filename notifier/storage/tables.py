"""The schema, as SQLModel classes. They stay inside ``storage/``; rooms exchange the dataclasses of ``model``.

Instants are integers, milliseconds since 1970 UTC (``…_ms``). Digests are 16 bytes, keyed (vault.Vault.digest).
Personal fields are one sealed value per row (``sealed``); deliveries hold no copy. NIR and RIB values are in no column
(I8).
The constraints carry invariants: the comments say which.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, UniqueConstraint, text
from sqlmodel import Field, SQLModel

# SQLite makes a rowid alias only of INTEGER; PostgreSQL wants 8 bytes.
Id = BigInteger().with_variant(Integer, "sqlite")


def _id() -> object:
    return Field(default=None, sa_column=Column(Id, primary_key=True, autoincrement=True))


def _plain() -> Any:
    """A text that is empty until somebody says it."""
    return Field(default="", sa_column_kwargs={"server_default": ""})


class Campaign(SQLModel, table=True):
    """One row: whose database this is. ``probe`` opens only with this campaign's keys."""

    __tablename__ = "campaign"
    id: int = Field(primary_key=True)
    campaign_id: str
    created_ms: int = Field(sa_type=BigInteger)
    probe: bytes
    public_key: bytes
    paused_reason: str | None = None
    paused_ms: int | None = Field(default=None, sa_type=BigInteger)
    returns_read_ms: int | None = Field(default=None, sa_type=BigInteger)
    sender_epoch: int = 0
    # Of the sender's cycles the last that a clerk of it has committed.
    sender_cycle: int = Field(default=0, sa_column_kwargs={"server_default": text("0")})
    canary: str = _plain()  # reached: paused for it | passed: somebody resumed after that
    sender_host: str = _plain()  # keyed digest of the machine that sent last
    first_attempt_ms: int | None = Field(default=None, sa_type=BigInteger)  # begun: the first day of a warm-up
    clock: str = _plain()  # JSON: the last reading of its clocks (machine.Reading)


class Import(SQLModel, table=True):
    """One reading of a file. The same bytes under the same profile count only once."""

    __tablename__ = "imports"
    id: int | None = _id()  # type: ignore[assignment]
    kind: str  # export | directory
    state: str  # staging | held | complete | undone | forgotten
    sha256: str
    profile: str
    settings_digest: str  # of what decides the reading beside the bytes: what the profile says, the incident
    senders: str = _plain()  # JSON: which names of senders the reading used (profiles.Senders.met)
    incident: str = ""
    name: str
    size_bytes: int = Field(sa_type=BigInteger)
    encoding: str = ""
    as_of: str = ""
    # The chain of custody: where it lay when it was read, when it came and from whom (as the operator says), how many
    # rows the cover note announced.
    path: str = _plain()
    received_at: str = _plain()
    received_from: str = _plain()
    expected_rows: int | None = None
    # Whether the cover note's hash was compared.
    sha256_checked: bool = Field(default=False, sa_column_kwargs={"server_default": text("FALSE")})
    held_reason: str = _plain()  # senders | rejections: why a file is held
    accepted_by: str = _plain()  # who accepted a share of rejections above the limit
    replaces: str = _plain()  # SHA-256 of the earlier file that this one corrects and takes the place of
    rows_read: int = 0
    records: int = 0
    rejections: int = 0
    verdicts: str = _plain()  # JSON: what became of the rows, with alarms (intake/verdicts.py)
    persons_new: int = 0
    persons_known: int = 0
    begun_ms: int | None = Field(default=None, sa_type=BigInteger)
    completed_ms: int | None = Field(default=None, sa_type=BigInteger)
    __table_args__ = (
        Index(
            "imports_once",
            "kind",
            "sha256",
            "profile",
            "settings_digest",
            unique=True,
            sqlite_where=text("state = 'complete'"),
            postgresql_where=text("state = 'complete'"),
        ),
    )


class HeldName(SQLModel, table=True):
    """A name in a held file that no sender has, and how many rows give it. Sealed (vault kind "held_name", identity =
    the file's SHA-256): a shifted column may hold the names of persons."""

    __tablename__ = "held_names"
    id: int | None = _id()  # type: ignore[assignment]
    import_id: int = Field(foreign_key="imports.id", index=True)
    rows: int
    sealed: bytes


class ClearFile(SQLModel, table=True):
    """A file with personal data in clear that we wrote outside the database: what a purge must reach."""

    __tablename__ = "clear_files"
    id: int | None = _id()  # type: ignore[assignment]
    path: str
    kind: str  # rejections
    sha256: str
    written_by: str
    written_ms: int = Field(sa_type=BigInteger)
    removed_ms: int | None = Field(default=None, sa_type=BigInteger)


class Rejection(SQLModel, table=True):
    """A row that left no identity. Open until a later row corrects it or somebody disposes of it (I1). ``trace``: keyed
    digest of what the row still says of its person; ``cells``: of all its cells. Null where nothing is left."""

    __tablename__ = "rejections"
    id: int | None = _id()  # type: ignore[assignment]
    import_id: int = Field(foreign_key="imports.id", index=True)
    line: int
    column: str
    code: str
    state: str = "open"  # open | corrected | duplicate | not_a_person | disposed
    reason: str = ""
    decided_by: str = ""
    decided_ms: int | None = Field(default=None, sa_type=BigInteger)
    trace: bytes | None = None
    cells: bytes | None = None
    # What ended it: the row that corrected it, or the rejection it repeats.
    ended_import_id: int | None = Field(default=None, foreign_key="imports.id")
    ended_line: int | None = None
    __table_args__ = (
        Index(
            "rejections_open",
            "import_id",
            sqlite_where=text("state = 'open'"),
            postgresql_where=text("state = 'open'"),
        ),
    )


class ExposureSet(SQLModel, table=True):
    """Each distinct set of exposures once (model.canonical_exposures)."""

    __tablename__ = "exposure_sets"
    id: int | None = _id()  # type: ignore[assignment]
    canonical: str = Field(unique=True)


class Record(SQLModel, table=True):
    """A row we could use: provenance (file, line) and the keys on which matching joins. Exactly one person (I1)."""

    __tablename__ = "records"
    id: int | None = _id()  # type: ignore[assignment]
    import_id: int = Field(foreign_key="imports.id")
    line: int
    person_id: int = Field(foreign_key="persons.id", sa_type=Id)
    group_key: bytes | None = None  # (sender, NIR 13, birth date); null without a usable NIR
    forename_key: bytes | None = None  # null: the row gives no forename
    birth_rank: int | None = None
    key_member: bytes | None = None
    key_nir_rank: bytes | None = None
    key_nir_forename: bytes | None = None
    key_contract: bytes | None = None
    key_near: bytes | None = None  # what a near-miss is sought by (people/identity.near_key)
    exposure_set_id: int = Field(foreign_key="exposure_sets.id")
    warnings: str = ""
    profession: str | None = None  # of a professional, as this row says
    # Only of a row without forename: who it is by itself, should a later row show that it belongs to nobody else.
    nameless_identity: bytes | None = None
    nameless_sealed: bytes | None = None
    __table_args__ = (
        # Indexes rather than constraints: a first file builds them by sort.
        Index("records_line", "import_id", "line", unique=True),
        Index("records_person", "person_id"),
        Index(
            "records_nameless",
            "group_key",
            sqlite_where=text("forename_key IS NULL AND group_key IS NOT NULL"),
            postgresql_where=text("forename_key IS NULL AND group_key IS NOT NULL"),
        ),
    )


class Person(SQLModel, table=True):
    """Somebody affected, in the eyes of one sender (DESIGN 3)."""

    __tablename__ = "persons"
    id: int | None = _id()  # type: ignore[assignment]
    sender: str
    identity: bytes
    kind: str
    profession: str = ""
    exposure_set_id: int = Field(foreign_key="exposure_sets.id")
    sealed: bytes  # vault kind "person", identity = identity
    contact_id: int | None = Field(default=None, foreign_key="contacts.id", sa_type=Id)
    rung: str = ""  # which rung of the ladder matched; "own" for a professional, "review" for a decision
    identity_review: str = ""  # why the identity itself needs a look: missing_forename
    excluded: str = ""  # operator | deceased | exempt | decision
    excluded_reason: str = ""
    excluded_by: str = ""
    excluded_ms: int | None = Field(default=None, sa_type=BigInteger)
    __table_args__ = (
        Index("persons_identity", "identity", "sender", unique=True),
        Index(
            "persons_excluded",
            "excluded",
            sqlite_where=text("excluded <> ''"),
            postgresql_where=text("excluded <> ''"),
        ),
        Index(
            "persons_contact",
            "contact_id",
            sqlite_where=text("contact_id IS NOT NULL"),
            postgresql_where=text("contact_id IS NOT NULL"),
        ),
    )


class Contact(SQLModel, table=True):
    """Where a person can be reached. ``current``: the newest of its identity; an older one stays as second choice."""

    __tablename__ = "contacts"
    id: int | None = _id()  # type: ignore[assignment]
    import_id: int = Field(foreign_key="imports.id")
    line: int
    sender: str
    identity: bytes
    kind: str  # member | professional
    link: str = ""
    status: str = "active"
    language: str = "fr"
    as_of: str = ""
    contract_year: int | None = None  # in which the member joined, where the directory says it
    current: bool = True
    household: bytes | None = None  # keyed digest of (sender, contract)
    mailbox: bytes | None = None  # keyed digest of (sender, normal e-mail); null = no mailbox
    has_postal: bool = False
    provider: str = "other"
    # The directory's second address, tried when the first is refused; null = none, or none beside the first.
    second_mailbox: bytes | None = None
    second_provider: str = Field(default="other", sa_column_kwargs={"server_default": "other"})
    shared_mailbox: bytes | None = None  # set aside, because very many members have it (people/agencies.py)
    # protection | opposition | agency_mailbox | shared_mailbox: told by letter whatever else is known; never has a
    # mailbox
    letter: str = _plain()
    format: str = _plain()  # braille | large_print | …: in which form the member asked to be written to
    ended_import_id: int | None = None  # the whole directory from which the member is missing: `status` is ended by it
    forename_key: bytes | None = None
    key_member: bytes | None = None
    key_nir_rank: bytes | None = None
    key_nir_forename: bytes | None = None
    key_contract: bytes | None = None
    key_contract_birth: bytes | None = None  # the same rung under the name at birth, where it is another
    # What near-misses are sought by (people/identity.member_near_keys).
    key_near_nir: bytes | None = None
    key_near_contract: bytes | None = None
    sealed: bytes  # vault kind "contact", identity = identity
    __table_args__ = (
        UniqueConstraint("import_id", "line"),
        Index("contacts_identity", "sender", "identity"),
        Index("contacts_member", "key_member"),
        Index("contacts_nir_rank", "key_nir_rank"),
        Index("contacts_nir_forename", "key_nir_forename"),
        Index("contacts_contract", "key_contract"),
        Index(
            "contacts_contract_birth",
            "key_contract_birth",
            sqlite_where=text("key_contract_birth IS NOT NULL"),
            postgresql_where=text("key_contract_birth IS NOT NULL"),
        ),
        Index(
            "contacts_near_nir",
            "key_near_nir",
            sqlite_where=text("key_near_nir IS NOT NULL"),
            postgresql_where=text("key_near_nir IS NOT NULL"),
        ),
        Index(
            "contacts_near_contract",
            "key_near_contract",
            sqlite_where=text("key_near_contract IS NOT NULL"),
            postgresql_where=text("key_near_contract IS NOT NULL"),
        ),
        Index("contacts_household", "household"),
        # Whom a look-up by e-mail means, and which mailboxes very many share.
        Index(
            "contacts_mailbox",
            "mailbox",
            sqlite_where=text("mailbox IS NOT NULL"),
            postgresql_where=text("mailbox IS NOT NULL"),
        ),
        Index(
            "contacts_shared",
            "shared_mailbox",
            sqlite_where=text("shared_mailbox IS NOT NULL"),
            postgresql_where=text("shared_mailbox IS NOT NULL"),
        ),
    )


class Review(SQLModel, table=True):
    """Something about a person that only somebody can decide (I2). One open review per person and reason."""

    __tablename__ = "reviews"
    id: int | None = _id()  # type: ignore[assignment]
    person_id: int = Field(foreign_key="persons.id", sa_type=Id)
    reason: str  # ambiguous | near_miss | wrong_match | missing_forename | ended_contract_child | minor_without_holder
    candidates: str = ""  # contact ids, comma-separated
    state: str = "open"  # open | decided
    decision: str = ""  # contact:ID | none | own_letter | …
    decided_by: str = ""
    decided_ms: int | None = Field(default=None, sa_type=BigInteger)
    __table_args__ = (UniqueConstraint("person_id", "reason"),)


class Wave(SQLModel, table=True):
    """One round of informing."""

    __tablename__ = "waves"
    id: int | None = _id()  # type: ignore[assignment]
    name: str = Field(unique=True)
    kind: str
    created_ms: int = Field(sa_type=BigInteger)
    planned_ms: int | None = Field(default=None, sa_type=BigInteger)
    who: str = _plain()  # how its persons were chosen (people/rounds.py), one spelling
    owed: int | None = None  # of a later round: how many persons its last plan found it to concern


class Segment(SQLModel, table=True):
    """All notifications that get the same words (model.SegmentKey)."""

    __tablename__ = "segments"
    id: int | None = _id()  # type: ignore[assignment]
    wave_id: int = Field(foreign_key="waves.id")
    sender: str
    audience: str
    profession: str
    form: str
    exposure_set_id: int = Field(foreign_key="exposure_sets.id")
    language: str
    priority: int = Field(default=2, sa_column_kwargs={"server_default": "2"})  # 0 goes first
    __table_args__ = (
        UniqueConstraint("wave_id", "sender", "audience", "profession", "form", "exposure_set_id", "language"),
    )


class Batch(SQLModel, table=True):
    """One approval: what was frozen, by whom (I7)."""

    __tablename__ = "batches"
    id: int | None = _id()  # type: ignore[assignment]
    wave_id: int = Field(foreign_key="waves.id")
    number: int
    digest: str  # SHA-256 over bound settings, files, segments and the list of notifications
    bound: str  # JSON: the settings that approval binds
    notifications: int
    approved_by: str
    approved_ms: int = Field(sa_type=BigInteger)
    manifest: str = _plain()  # JSON: all that a dossier of it shows; what signers sign is its SHA-256
    __table_args__ = (UniqueConstraint("wave_id", "number"),)


class BatchSignature(SQLModel, table=True):
    """A signer's signature over the manifest of a batch. ``signature``: armoured, as it was handed over (SSHSIG)."""

    __tablename__ = "batch_signatures"
    batch_id: int = Field(foreign_key="batches.id", primary_key=True)
    place: int = Field(primary_key=True)  # from 1, in the order of the manifest's signers
    name: str
    role: str
    public_key: str
    signature: str


class ApprovalRequest(SQLModel, table=True):
    """A dossier that was handed out. The last one of a wave is what its signatures are held against. ``wave``: by name,
    because a round of which nothing is left is deleted."""

    __tablename__ = "approval_requests"
    id: int | None = _id()  # type: ignore[assignment]
    wave: str = Field(index=True)
    manifest: str
    sha256: str
    requested_by: str
    requested_ms: int = Field(sa_type=BigInteger)


class BatchFile(SQLModel, table=True):
    """A copy of each template and data file that a batch is rendered from."""

    __tablename__ = "batch_files"
    batch_id: int = Field(foreign_key="batches.id", primary_key=True)
    path: str = Field(primary_key=True)
    sha256: str
    content: bytes


class Notification(SQLModel, table=True):
    """What one person is owed in one wave: the unit of all accounting. ``delivery_id``: its one live delivery (I3)."""

    __tablename__ = "notifications"
    id: int | None = _id()  # type: ignore[assignment]
    wave_id: int = Field(foreign_key="waves.id")
    person_id: int = Field(foreign_key="persons.id", sa_type=Id)
    segment_id: int = Field(foreign_key="segments.id")
    route: str
    route_reason: str
    review: str = ""  # reason of the open review that holds it back
    excluded: str = ""
    batch_id: int | None = Field(default=None, foreign_key="batches.id")
    delivery_id: int | None = Field(default=None, foreign_key="deliveries.id", sa_type=Id)
    __table_args__ = (
        UniqueConstraint("person_id", "wave_id"),  # I1, I3; also the way from a person to what it is owed
        Index(
            "notifications_delivery",
            "delivery_id",
            sqlite_where=text("delivery_id IS NOT NULL"),
            postgresql_where=text("delivery_id IS NOT NULL"),
        ),
    )


class Pseudonym(SQLModel, table=True):
    """By which pseudonym the journal knows a person; of those whom an approval named. Follows from the identity key:
    whatever destroys that key has to empty this table, or the pseudonyms stay linked."""

    __tablename__ = "pseudonyms"
    pseudonym: bytes = Field(primary_key=True)
    person_id: int = Field(sa_type=Id)


class Delivery(SQLModel, table=True):
    """The life of one notice to one mailbox or letter box. Changed only through delivery/record.py."""

    __tablename__ = "deliveries"
    id: int | None = _id()  # type: ignore[assignment]
    token: bytes = Field(unique=True)  # its name in Message-ID, return path and journal
    reference: int | None = Field(default=None, sa_type=BigInteger)  # the case reference's 60 bits, once approved
    wave_id: int = Field(foreign_key="waves.id")
    segment_id: int = Field(foreign_key="segments.id")
    contact_id: int = Field(foreign_key="contacts.id", sa_type=Id)
    channel: str  # mail | post
    state: str
    batch_id: int | None = Field(default=None, foreign_key="batches.id")  # null: not approved, never claimed
    attempt: int = 0  # number of the last attempt begun
    retries: int = 0  # attempts that count against the schedule
    doubts: int = 0
    epoch: int = 0  # of the sender that holds it
    provider: str = "other"
    # Whether it goes to the contact's second address.
    is_second: bool = Field(default=False, sa_column_kwargs={"server_default": text("FALSE")})
    priority: int = Field(default=2, sa_column_kwargs={"server_default": "2"})  # of its segment, when approved
    first_ms: int | None = Field(default=None, sa_type=BigInteger)  # first attempt begun
    started_ms: int | None = Field(default=None, sa_type=BigInteger)  # last attempt begun
    due_ms: int = Field(default=0, sa_type=BigInteger)
    since_ms: int = Field(default=0, sa_type=BigInteger)  # in this state since
    observe_until_ms: int | None = Field(default=None, sa_type=BigInteger)
    # Somebody whom it informs was taken out while it was being sent: whoever records how that ends looks who is left.
    is_recalled: bool = Field(default=False, sa_column_kwargs={"server_default": text("FALSE")})
    # The delivery whose place it took, and which of its attempts had failed: put back into the queue and failed again,
    # that one gets another replacement.
    replaces_id: int | None = Field(default=None, foreign_key="deliveries.id", sa_type=Id)
    replaces_attempt: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    __table_args__ = (
        Index(
            "deliveries_due",
            "priority",
            "due_ms",
            "id",
            sqlite_where=text("channel = 'mail' AND state IN ('queued', 'deferred') AND batch_id IS NOT NULL"),
            postgresql_where=text("channel = 'mail' AND state IN ('queued', 'deferred') AND batch_id IS NOT NULL"),
        ),
        # While lanes rest, the others are walked along one by one, however many deliveries wait in those.
        Index(
            "deliveries_lane",
            "provider",
            "priority",
            "due_ms",
            "id",
            sqlite_where=text("channel = 'mail' AND state IN ('queued', 'deferred') AND batch_id IS NOT NULL"),
            postgresql_where=text("channel = 'mail' AND state IN ('queued', 'deferred') AND batch_id IS NOT NULL"),
        ),
        Index(
            "deliveries_sending",
            "id",
            sqlite_where=text("state = 'sending'"),
            postgresql_where=text("state = 'sending'"),
        ),
        Index("deliveries_wave", "wave_id", "state"),
        Index(
            "deliveries_reference",
            "reference",
            sqlite_where=text("reference IS NOT NULL"),
            postgresql_where=text("reference IS NOT NULL"),
        ),
        # Empty, or what was approved past the approval: a look-up makes these references anew.
        Index(
            "deliveries_unreferenced",
            "id",
            sqlite_where=text("batch_id IS NOT NULL AND reference IS NULL"),
            postgresql_where=text("batch_id IS NOT NULL AND reference IS NULL"),
        ),
        # One letter (or one e-mail to the second address) for one failure, however often it is reported.
        Index(
            "deliveries_replaces",
            "replaces_id",
            "replaces_attempt",
            unique=True,
            sqlite_where=text("replaces_id IS NOT NULL"),
            postgresql_where=text("replaces_id IS NOT NULL"),
        ),
    )


class Attempt(SQLModel, table=True):
    """One SMTP transaction and how it ended. ``reply``: without personal data; ``reply_sealed``: verbatim, sealed."""

    __tablename__ = "attempts"
    id: int | None = _id()  # type: ignore[assignment]
    delivery_id: int = Field(foreign_key="deliveries.id", sa_type=Id)
    number: int
    outcome: str
    late: bool = False
    phase: str = ""
    code: int | None = None
    enhanced: str = ""
    reply: str = ""
    reply_sealed: bytes | None = Field(default=None, sa_column=Column(LargeBinary, nullable=True))
    notice_sha256: str = ""
    started_ms: int = Field(sa_type=BigInteger)
    ended_ms: int = Field(sa_type=BigInteger)
    __table_args__ = (UniqueConstraint("delivery_id", "number", "late"),)


class JournalEntry(SQLModel, table=True):
    """One journal entry: ``salt ‖ body`` is what its leaf hash covers."""

    __tablename__ = "entries"
    id: int | None = _id()  # type: ignore[assignment]
    kind: str
    subject: str
    # Whose attempt it speaks of. These are nearly all entries, and their subject is a token: an index on it takes one
    # page at random for each message, and of millions none is in memory. Ids come in order.
    delivery_id: int | None = Field(default=None, sa_type=Id)
    salt: bytes
    body: bytes
    __table_args__ = (
        Index(
            "entries_subject",
            "subject",
            sqlite_where=text("delivery_id IS NULL"),
            postgresql_where=text("delivery_id IS NULL"),
        ),
        Index(
            "entries_delivery",
            "delivery_id",
            sqlite_where=text("delivery_id IS NOT NULL"),
            postgresql_where=text("delivery_id IS NOT NULL"),
        ),
        {"sqlite_autoincrement": True},
    )


class Leaf(SQLModel, table=True):
    """The place of a sealed entry in the Merkle tree. Insert-only."""

    __tablename__ = "leaves"
    leaf_index: int = Field(sa_column=Column(Id, primary_key=True, autoincrement=False))
    entry_id: int = Field(foreign_key="entries.id", sa_type=Id, unique=True)
    leaf_hash: bytes


class Checkpoint(SQLModel, table=True):
    """A signed root over the first ``tree_size`` entries (C2SP tlog-checkpoint)."""

    __tablename__ = "checkpoints"
    tree_size: int = Field(sa_column=Column(Id, primary_key=True, autoincrement=False))
    root: bytes
    frontier: bytes  # the roots of its perfect subtrees, largest first: sealing goes on from here
    note: str
    reason: str
    at_ms: int = Field(sa_type=BigInteger)


class Pace(SQLModel, table=True):
    """One GCRA bucket: the theoretical arrival time of its next slot, microseconds since 1970 UTC."""

    __tablename__ = "pace"
    name: str = Field(primary_key=True)
    next_us: int = Field(sa_type=BigInteger)


class LaneState(SQLModel, table=True):
    """What a provider's replies did to its lane (delivery/lanes.py). No row: it was never told to wait."""

    __tablename__ = "lanes"
    provider: str = Field(primary_key=True)
    factor: float
    throttles: int
    until_ms: int = Field(sa_type=BigInteger)  # it rests until then; 0 = it does not
    since_ms: int = Field(sa_type=BigInteger)  # the factor's last change
    why: str
    base: float  # messages per second when the factor began to fall


class Begun(SQLModel, table=True):
    """How many deliveries were begun in a local hour or day, or until the canary (delivery/limits.py)."""

    __tablename__ = "begun"
    name: str = Field(primary_key=True)
    number: int = Field(sa_type=BigInteger)
