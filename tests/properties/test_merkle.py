"""The streaming tree against the definitions of RFC 9162 2.1, written down as they stand there."""

from __future__ import annotations

from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as st

from notifier.journal.merkle import (
    Frontier,
    InclusionPaths,
    consistency_proof,
    leaf_hash,
    node_hash,
    root_of,
    verify_consistency,
    verify_inclusion,
)

LEAVES = st.integers(0, 70).map(lambda count: [leaf_hash(b"", number.to_bytes(2, "big")) for number in range(count)])


def split(size: int) -> int:
    return 1 << (size - 1).bit_length() - 1


def defined_root(leaves: list[bytes]) -> bytes:
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    at = split(len(leaves))
    return sha256(b"\x01" + defined_root(leaves[:at]) + defined_root(leaves[at:])).digest()


def defined_path(index: int, leaves: list[bytes]) -> list[bytes]:
    if len(leaves) == 1:
        return []
    at = split(len(leaves))
    if index < at:
        return [*defined_path(index, leaves[:at]), defined_root(leaves[at:])]
    return [*defined_path(index - at, leaves[at:]), defined_root(leaves[:at])]


@given(LEAVES)
def test_i9_the_frontier_gives_the_defined_root(leaves):
    assert root_of(leaves) == defined_root(leaves)


@given(LEAVES, st.data())
def test_i9_a_stored_frontier_goes_on_as_if_never_interrupted(leaves, data):
    at = data.draw(st.integers(0, len(leaves)))
    first = Frontier()
    for leaf in leaves[:at]:
        first.append(leaf)
    second = Frontier.load(at, first.dump())
    for leaf in leaves[at:]:
        second.append(leaf)
    assert (second.size, second.root()) == (len(leaves), defined_root(leaves))


@given(LEAVES.filter(bool), st.data())
def test_i9_inclusion_paths_are_the_defined_ones_and_hold(leaves, data):
    indexes = data.draw(st.sets(st.integers(0, len(leaves) - 1), min_size=1, max_size=5))
    tree = InclusionPaths(indexes)
    for leaf in leaves:
        tree.append(leaf)
    root, paths = tree.finish()
    assert root == defined_root(leaves)
    for index in indexes:
        path = paths[index]
        assert path == defined_path(index, leaves)
        assert verify_inclusion(leaves[index], index, len(leaves), path, root)
        assert not verify_inclusion(leaf_hash(b"", b"other"), index, len(leaves), path, root)
        assert not verify_inclusion(leaves[index], index, len(leaves), [*path, root], root)
        assert not verify_inclusion(leaves[index], (index + 1) % len(leaves), len(leaves), path, root) or not path
        if path:
            assert not verify_inclusion(leaves[index], index, len(leaves), path[:-1], root)


@given(LEAVES.filter(bool), st.data())
def test_i9_consistency_holds_for_an_extended_tree_only(leaves, data):
    at = data.draw(st.integers(1, len(leaves)))
    old, new = defined_root(leaves[:at]), defined_root(leaves)
    path = consistency_proof(at, leaves)
    assert verify_consistency(at, old, len(leaves), new, path)
    assert not verify_consistency(at, node_hash(old, old), len(leaves), new, path)
    assert not verify_consistency(at, old, len(leaves), node_hash(new, new), path)
    changed = data.draw(st.integers(0, at - 1))
    rewritten = [*leaves[:changed], leaf_hash(b"", b"rewritten"), *leaves[changed + 1 :]]
    if at < len(leaves):
        proof = consistency_proof(at, rewritten)
        assert not verify_consistency(at, old, len(leaves), defined_root(rewritten), proof)
