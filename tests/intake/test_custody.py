"""What the cover note says is compared before anything is stored; the chain of custody is kept and journaled."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import subprocess
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from notifier.errors import ExportError, OperatorError
from notifier.intake.custody import Custody, custody, received
from notifier.intake.exports import AlreadyImported, StagedImport, stage_export
from notifier.intake.space import CONTENT_FACTOR, check, free_bytes, must_fit, needed, temporary_folder

from .conftest import GOOD, rows_of

PARIS = ZoneInfo("Europe/Paris")
NOW = datetime(2024, 2, 9, 8, 0, tzinfo=UTC)


def take(intake, path, said: Custody = Custody(), **options):  # noqa: B008  (frozen)
    async def work():
        async with intake.opened() as database:
            return await stage_export(
                database, intake.vault, intake.settings, intake.folder, path, "viamedis-insured",
                incident=None, now=intake.now, custody=said, **options,
            )  # fmt: skip

    return asyncio.run(work())


# -- when and from whom ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("2024-02-09T08:30:00+01:00", "2024-02-09T07:30:00.000Z"),
        ("2024-02-09T07:59:59Z", "2024-02-09T07:59:59.000Z"),
        ("2024-02-08 18:30", "2024-02-08T17:30:00.000Z"),  # the campaign's own time
        ("2024-02-09T08:59", "2024-02-09T07:59:00.000Z"),
        ("2024-02-09", "2024-02-09"),  # no hour is made up
        ("20240208", "2024-02-08"),
    ],
)
def test_an_instant_is_normalised(said: str, kept: str) -> None:
    assert received(said, zone=PARIS, now=NOW) == kept


@pytest.mark.parametrize(
    "said", ["yesterday", "2024-13-01", "09/02/2024", "2024-02-09T25:00", "0001-01-01T00:00+14:00"]
)
def test_an_unreadable_instant_is_refused(said: str) -> None:
    with pytest.raises(OperatorError, match="cannot be read"):
        received(said, zone=PARIS, now=NOW)


@pytest.mark.parametrize("said", ["2024-02-09T08:00:01Z", "2024-02-10", "2024-02-09T09:01", "2031-01-01T00:00+01:00"])
def test_an_instant_ahead_is_refused(said: str) -> None:
    with pytest.raises(OperatorError, match="has not come yet"):
        received(said, zone=PARIS, now=NOW)


@pytest.mark.parametrize("hex_digits", ["ab" * 31, "ab" * 33, "g" * 64, "ab12"])
def test_a_part_of_a_hash_is_refused(hex_digits: str) -> None:
    with pytest.raises(OperatorError, match="all 64 hex digits"):
        custody(expected_sha256=hex_digits, zone=PARIS, now=NOW)


# -- the cover note --------------------------------------------------------------------------------------------------


def test_what_was_said_is_kept_and_journaled(write, intake) -> None:
    path = write(rows_of("viamedis-insured", GOOD, "x"))
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    said = custody(
        received_at="2024-02-09T08:30+01:00",
        received_from="Viamedis, SFTP, help@viamedis.example",
        expected_rows=2,
        expected_sha256=sha256.upper(),
        zone=PARIS,
        now=NOW,
    )
    intake.complete(take(intake, path, said))
    [row] = intake.query("SELECT * FROM imports")
    assert (row["path"], row["name"]) == (str(path.absolute()), path.name)
    assert (row["received_at"], row["expected_rows"], row["sha256_checked"]) == ("2024-02-09T07:30:00.000Z", 2, 1)
    assert row["received_from"] == said.received_from
    assert row["begun_ms"] == int(intake.now.timestamp() * 1000)
    [entry] = intake.query("SELECT body FROM entries WHERE kind = 'import_completed'")
    facts = json.loads(entry["body"])["facts"]
    assert facts["received_at"] == "2024-02-09T07:30:00.000Z"
    assert facts["received_from"] == "Viamedis, SFTP, <recipient>"
    assert (facts["expected_rows"], facts["expected_sha256"]) == (True, True)
    assert (facts["accepted_rejections"], facts["replaces"]) == (False, 0)
    assert path.name not in json.dumps(facts)


def test_I1_a_difference_is_told_with_both_figures_and_nothing_is_stored(write, intake) -> None:
    path = write(rows_of("viamedis-insured", GOOD, "x", ""))
    sha256, other = hashlib.sha256(path.read_bytes()).hexdigest(), "0" * 64
    before = intake.snapshot()
    for said, figures in (
        (Custody(expected_rows=3), ("has 2 rows", "says 3")),
        (Custody(expected_sha256=other), (sha256, other)),
        (Custody(expected_rows=3, expected_sha256=sha256), ("has 2 rows", "says 3")),
    ):
        with pytest.raises(ExportError) as caught:
            take(intake, path, said)
        assert all(each in str(caught.value) for each in (*figures, "nothing was stored"))
        assert intake.snapshot() == before
        assert not (intake.folder / "rejections").exists()
    assert take(intake, path, Custody(expected_rows=2, expected_sha256=sha256)).rows == 2


def test_a_file_that_is_there_already_is_compared_too(write, intake) -> None:
    path = write(rows_of("viamedis-insured", GOOD))
    intake.complete(take(intake, path))
    assert isinstance(take(intake, path, Custody(expected_rows=1)), AlreadyImported)
    with pytest.raises(ExportError, match="has 1 rows, the cover note says 2"):
        take(intake, path, Custody(expected_rows=2))


# -- room on the disk ------------------------------------------------------------------------------------------------


def test_too_little_room_is_told_with_both_figures(tmp_path) -> None:
    must_fit(100, 100, tmp_path)
    with pytest.raises(OperatorError, match=r"1\.0 MB free.*needs about 2\.5 GB.*nothing was stored"):
        must_fit(2_500_000_000, 1_000_000, tmp_path)


def test_nothing_is_stored_when_the_disk_is_too_small(write, intake) -> None:
    path = write(rows_of("viamedis-insured", GOOD))
    before = intake.snapshot()
    with pytest.raises(OperatorError, match="make room"):
        take(intake, path, free=lambda _: 1000)
    assert intake.snapshot() == before
    asked = []
    assert isinstance(take(intake, path, free=lambda folder: asked.append(folder) or 1 << 40), StagedImport)
    assert asked[0] == intake.folder


def test_the_need_grows_with_what_is_unpacked(intake, write) -> None:
    from notifier.intake.files import survey

    def asked(path) -> int:
        with path.open("rb") as file:
            return needed(survey(file, path.name))[0]

    row = GOOD + "\n"
    small, large = write(rows_of("viamedis-insured", row * 10)), write(rows_of("viamedis-insured", row * 10_000))
    more = large.stat().st_size - small.stat().st_size
    assert asked(large) - asked(small) == pytest.approx(CONTENT_FACTOR * more, rel=0.01)
    subprocess.run(["gzip", "-k", str(large)], check=True)
    assert asked(large.with_name(large.name + ".gz")) == asked(large)


def test_temporary_files_have_a_disk_of_their_own(tmp_path) -> None:
    assert temporary_folder({"SQLITE_TMPDIR": str(tmp_path / "none"), "TMPDIR": str(tmp_path)}) == tmp_path
    assert free_bytes(tmp_path) > 0


def test_a_small_disk_of_temporary_files_is_found(write, intake, tmp_path) -> None:
    """A real file system of a megabyte."""
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(small)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("nothing can be mounted here")
    try:
        from notifier.intake.files import survey

        path = write(rows_of("viamedis-insured", GOOD))
        with path.open("rb") as file:
            found = survey(file, path.name)
        with pytest.raises(OperatorError, match=f"{small} has 1.0 MB free"):
            check(found, intake.folder, free_bytes, {"SQLITE_TMPDIR": str(small)})
        with pytest.raises(OperatorError, match=f"{small} has 1.0 MB free"):
            check(found, small, free_bytes, dict(os.environ))
    finally:
        subprocess.run(["umount", str(small)], check=True)
