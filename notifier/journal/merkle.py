"""The Merkle tree over journal entries, RFC 9162 2.1. Pure.

A leaf is SHA-256(0x00 ‖ salt ‖ entry), a node SHA-256(0x01 ‖ left ‖ right); a lone node is promoted, not doubled. The
salt keeps a leaf from being guessed from its hash (DOMAIN E3). Everything works on a stream of leaf hashes: nothing
here holds the tree.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

HASH_BYTES = 32
EMPTY_ROOT = sha256(b"").digest()


def leaf_hash(salt: bytes, entry: bytes) -> bytes:
    """32 bytes. ``salt`` has a fixed length (32) in the journal, so that salt and entry cannot trade bytes."""
    return sha256(b"\x00" + salt + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """32 bytes: the parent of two subtrees."""
    return sha256(b"\x01" + left + right).digest()


@dataclass(slots=True)
class Frontier:
    """The roots of the perfect subtrees that make up the first ``size`` leaves, largest first: one for each 1 in the
    binary form of ``size``. It is all that appending needs, so that n new leaves cost n hashes, however tall the tree.
    """

    size: int = 0
    peaks: list[bytes] = field(default_factory=list)

    def append(self, leaf: bytes) -> None:
        """Add one leaf hash."""
        self.peaks.append(leaf)
        self.size += 1
        rest = self.size
        while not rest & 1:
            right = self.peaks.pop()
            self.peaks[-1] = node_hash(self.peaks[-1], right)
            rest >>= 1

    def root(self) -> bytes:
        """MTH of RFC 9162 2.1.1 over all leaves so far."""
        if not self.peaks:
            return EMPTY_ROOT
        root = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            root = node_hash(peak, root)
        return root

    def dump(self) -> bytes:
        """The peaks, one after the other."""
        return b"".join(self.peaks)

    @classmethod
    def load(cls, size: int, dumped: bytes) -> Frontier:
        """Inverse of :meth:`dump`. ValueError when the length is not that of ``size`` leaves."""
        if len(dumped) != HASH_BYTES * size.bit_count():
            raise ValueError("the frontier has not the length that its size asks for")
        return cls(size, [dumped[at : at + HASH_BYTES] for at in range(0, len(dumped), HASH_BYTES)])


def root_of(leaves: Iterable[bytes]) -> bytes:
    """The root over ``leaves`` (leaf hashes)."""
    frontier = Frontier()
    for leaf in leaves:
        frontier.append(leaf)
    return frontier.root()


class InclusionPaths:
    """Inclusion paths (RFC 9162 2.1.3.1) of a few leaves, found in one pass over all leaf hashes."""

    def __init__(self, indexes: Iterable[int]) -> None:
        self._wanted = sorted(set(indexes))
        self._paths: dict[int, list[bytes]] = {index: [] for index in self._wanted}
        self._stack: list[tuple[int, int, bytes]] = []  # start, width, root of each perfect subtree
        self._size = 0

    def append(self, leaf: bytes) -> None:
        """The next leaf hash."""
        start, width, root = self._size, 1, leaf
        self._size += 1
        while self._stack and self._stack[-1][1] == width:
            start, root = self._join(self._stack.pop(), (start, width, root))
            width *= 2
        self._stack.append((start, width, root))

    def finish(self) -> tuple[bytes, dict[int, list[bytes]]]:
        """The root, and each wanted leaf's path, lowest sibling first. IndexError when a wanted leaf never came."""
        if self._wanted and self._wanted[-1] >= self._size:
            raise IndexError("a leaf was asked for that is not in the tree")
        if not self._stack:
            return EMPTY_ROOT, {}
        start, width, root = self._stack.pop()
        while self._stack:
            left = self._stack.pop()
            start, root = self._join(left, (start, width, root))
            width += left[1]
        return root, self._paths

    def _join(self, left: tuple[int, int, bytes], right: tuple[int, int, bytes]) -> tuple[int, bytes]:
        first = bisect_left(self._wanted, left[0])
        for index in self._wanted[first : bisect_left(self._wanted, right[0] + right[1])]:
            self._paths[index].append(right[2] if index < right[0] else left[2])
        return left[0], node_hash(left[2], right[2])


def verify_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """Whether ``leaf`` stands at ``index`` in the tree of ``size`` leaves with ``root`` (RFC 9162 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    node, last, computed = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            return False
        if node & 1 or node == last:
            computed = node_hash(sibling, computed)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            computed = node_hash(computed, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and computed == root


def consistency_proof(old_size: int, leaves: Sequence[bytes]) -> list[bytes]:
    """The nodes that show that the first ``old_size`` of ``leaves`` were not changed (RFC 9162 2.1.4.1)."""
    if not 0 < old_size <= len(leaves):
        raise ValueError("the old size lies outside the tree")
    return _subproof(old_size, leaves, whole=True)


def _subproof(old_size: int, leaves: Sequence[bytes], *, whole: bool) -> list[bytes]:
    if old_size == len(leaves):
        return [] if whole else [root_of(leaves)]
    split = 1 << (len(leaves) - 1).bit_length() - 1  # the largest power of two below the size
    if old_size <= split:
        return [*_subproof(old_size, leaves[:split], whole=whole), root_of(leaves[split:])]
    return [*_subproof(old_size - split, leaves[split:], whole=False), root_of(leaves[:split])]


def verify_consistency(old_size: int, old_root: bytes, size: int, root: bytes, path: Sequence[bytes]) -> bool:
    """Whether the tree of ``size`` extends the one of ``old_size`` (RFC 9162 2.1.4.2)."""
    if not 0 < old_size <= size:
        return False
    if old_size == size:
        return not path and old_root == root
    nodes = list(path)
    if old_size & (old_size - 1) == 0:
        nodes.insert(0, old_root)
    if not nodes:
        return False
    node, last = old_size - 1, size - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    old_computed = computed = nodes[0]
    for sibling in nodes[1:]:
        if last == 0:
            return False
        if node & 1 or node == last:
            old_computed = node_hash(sibling, old_computed)
            computed = node_hash(sibling, computed)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            computed = node_hash(computed, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and old_computed == old_root and computed == root
