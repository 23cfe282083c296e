"""A whole campaign, then a search: no NIR, RIB, name or address of the samples lies where it must not (I8)."""

from pathlib import Path

import pytest

from notifier.campaign import shipped

pytestmark = pytest.mark.thorough


@pytest.fixture
def values() -> set[bytes]:
    """The samples' NIRs, RIBs, family names and e-mail addresses."""
    import csv

    import fastexcel

    samples = shipped("data") / "samples"
    found: set[str] = set()
    with (samples / "directory.csv").open(encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file, delimiter=";"):
            found |= {row["NIR"], row["EMAIL"], row["EMAIL"].partition("@")[0], f"{row['PRENOM']} {row['NOM']}"}
    with (samples / "viamedis-insured.csv").open(encoding="cp1252", newline="") as file:
        for row in csv.DictReader(file, delimiter=";"):
            found |= {row["NIR"], f"{row['PRENOM']} {row['NOM']}", f"{row['NOM']} {row['PRENOM']}"}
    for operator in ("viamedis", "almerys"):
        sheet = fastexcel.read_excel(str(samples / f"{operator}-professional.xlsx")).load_sheet(0, dtypes="string")
        for row in sheet.to_polars().to_dicts():
            email = row.get("EMAIL") or row.get("Courriel") or ""
            found |= {row.get("RIB") or "", email}
    return {value.encode() for value in found if len(value) >= 8}


def test_i8_nothing_of_the_samples_is_left_lying_about(cli, sink, values: set[bytes], tmp_path: Path) -> None:
    samples = shipped("data") / "samples"
    printed: list[str] = []
    for name in ("viamedis-insured", "almerys-insured", "viamedis-professional", "almerys-professional"):
        (path,) = samples.glob(f"{name}.*")
        answer = cli("-v", "intake", path, "--profile", name, expect=(0, 1))
        printed += [answer.out, answer.err]
    for words in (
        ["directory", samples / "directory.csv", "--profile", "directory"],
        ["plan"],
        ["approve", "--yes"],
        ["send", "--wait"],
        ["status"],
        ["proof", "export", "--out", tmp_path / "proof.zip"],
    ):
        answer = cli("-v", *words, expect=(0, 1))
        printed += [answer.out, answer.err]
    assert sink.accepted  # something was sent

    assert len(values) > 500
    heaps: dict[str, bytes] = {"printed": "\n".join(printed).encode()}
    for path in sorted(cli.campaign.rglob("*")):
        heaps[f"name {path.name}"] = path.name.encode()
        if path.is_file() and path.name != "campaign.toml":
            heaps[str(path.relative_to(cli.campaign))] = path.read_bytes()
    import zipfile

    with zipfile.ZipFile(tmp_path / "proof.zip") as archive:
        for name in archive.namelist():
            heaps[f"proof {name}"] = archive.read(name)
    assert any("campaign.db" in name for name in heaps)
    for name, heap in heaps.items():
        lowered = heap.lower()
        leaked = [value for value in values if value.lower() in lowered]
        assert not leaked, f"{len(leaked)} values of the samples in {name}"
    # The search itself is able to find: the files it came from hold the values.
    directory = (samples / "directory.csv").read_bytes().lower()
    assert any(value.lower() in directory for value in values)
