"""Remember which versions of rows and files were taken: 8 bytes each, however many there are.

Two of n different ones have the same digest with a chance of n² in 2^65: for a million, 1 in 37 million.
"""

from __future__ import annotations

import hashlib
import sys
from array import array
from bisect import bisect_left
from collections.abc import Iterable

BYTES = 8
"""Of a digest."""
_LEAST_MERGED = 50_000


def digest_of(key: str, version: str) -> int:
    """Return the digest of a row's key and version, or of a file's name and ETag."""
    text = f"{len(key)}:{key}{version}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(text, digest_size=BYTES).digest(), "big")


def packed(digests: Iterable[int]) -> bytes:
    """Return digests as bytes that `unpacked` reads."""
    return b"".join(digest.to_bytes(BYTES, "big") for digest in digests)


def unpacked(data: bytes) -> array[int]:
    """Return the digests in these bytes."""
    found = array("Q", data)
    if sys.byteorder == "little":
        found.byteswap()
    return found


class Known:
    """A set of digests: most in a sorted array, those added lately in a set."""

    def __init__(self) -> None:
        self._sorted = array("Q")
        self._lately = set[int]()

    def has(self, digest: int) -> bool:
        """Return whether it was added."""
        if digest in self._lately:
            return True
        at = bisect_left(self._sorted, digest)
        return at < len(self._sorted) and self._sorted[at] == digest

    def add(self, digests: Iterable[int]) -> None:
        """Add digests."""
        self._lately.update(digests)
        if len(self._lately) > max(_LEAST_MERGED, len(self._sorted) // 4):
            self._sorted.extend(self._lately)
            self._sorted = array("Q", sorted(self._sorted))
            self._lately.clear()
