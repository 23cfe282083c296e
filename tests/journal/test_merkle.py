"""The tree against the test vectors of Certificate Transparency (RFC 6962 and 9162 share them)."""

from __future__ import annotations

import pytest

from notifier.journal.merkle import (
    EMPTY_ROOT,
    Frontier,
    InclusionPaths,
    consistency_proof,
    leaf_hash,
    root_of,
    verify_consistency,
    verify_inclusion,
)

INPUTS = ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
LEAVES = [leaf_hash(b"", bytes.fromhex(text)) for text in INPUTS]
ROOTS = (
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)
INCLUSION = {
    (0, 8): (
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ),
    (5, 8): (
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ),
}
CONSISTENCY = {
    (1, 8): INCLUSION[0, 8],
    (6, 8): (
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ),
}


def test_i9_roots_are_those_of_certificate_transparency():
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    for size, root in enumerate(ROOTS, 1):
        assert root_of(LEAVES[:size]).hex() == root


@pytest.mark.parametrize(("index", "size"), INCLUSION)
def test_i9_inclusion_paths_are_those_of_certificate_transparency(index, size):
    tree = InclusionPaths([index])
    for leaf in LEAVES[:size]:
        tree.append(leaf)
    root, paths = tree.finish()
    assert [node.hex() for node in paths[index]] == list(INCLUSION[index, size])
    assert verify_inclusion(LEAVES[index], index, size, paths[index], root)


@pytest.mark.parametrize(("old", "size"), CONSISTENCY)
def test_i9_consistency_proofs_are_those_of_certificate_transparency(old, size):
    proof = consistency_proof(old, LEAVES[:size])
    assert [node.hex() for node in proof] == list(CONSISTENCY[old, size])
    assert verify_consistency(old, bytes.fromhex(ROOTS[old - 1]), size, bytes.fromhex(ROOTS[size - 1]), proof)


def test_i9_a_leaf_is_no_node_and_the_salt_counts():
    both = LEAVES[0] + LEAVES[1]
    assert leaf_hash(b"", both) != root_of(LEAVES[:2])
    assert leaf_hash(b"\x01" * 32, b"entry") != leaf_hash(b"\x02" * 32, b"entry")


def test_a_frontier_of_the_wrong_length_is_refused():
    with pytest.raises(ValueError, match="length"):
        Frontier.load(3, b"\x00" * 32)


def test_a_path_to_a_leaf_that_never_came_is_refused():
    with pytest.raises(IndexError):
        InclusionPaths([0]).finish()
