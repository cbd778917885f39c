"""Write compound files, in which Outlook keeps messages: what the tests of reading them need."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass

Tree = Mapping[str, "bytes | Tree"]
"""Streams, and storages of streams, by name."""
_END, _NONE, _FAT = 0xFFFFFFFE, 0xFFFFFFFF, 0xFFFFFFFD
_STORAGE, _STREAM, _ROOT = 1, 2, 5


@dataclass
class _Entry:
    name: str
    kind: int
    content: bytes = b""
    left: int = _NONE
    right: int = _NONE
    child: int = _NONE
    start: int = _END
    size: int = 0


def compound(tree: Tree) -> bytes:
    """A file of these streams and storages."""
    entries = [_Entry("Root Entry", _ROOT)]
    entries[0].child = _add(entries, tree)
    small = [entry for entry in entries if 0 < len(entry.content) < 4096]
    chains, mini, at = [], b"", 0
    for entry in small:
        entry.start, entry.size, count = at, len(entry.content), -(-len(entry.content) // 64)
        mini += entry.content.ljust(64 * count, b"\0")
        chains += [*range(at + 1, at + count), _END]
        at += count
    entries[0].content = mini
    sectors, fat = b"", list[int]()

    def put(content: bytes) -> int:
        nonlocal sectors
        if not content:
            return _END
        count, first = -(-len(content) // 512), len(fat)
        sectors += content.ljust(512 * count, b"\0")
        fat.extend([*range(first + 1, first + count), _END])
        return first

    mini_fat = put(struct.pack(f"<{len(chains)}I", *chains).ljust(-(-len(chains) // 128) * 512, b"\xff"))
    for entry in entries:
        if entry.kind == _ROOT or len(entry.content) >= 4096:
            entry.start, entry.size = put(entry.content), len(entry.content)
    directory = put(b"".join(map(_packed, entries)))
    first_fat, of_fat = len(fat), -(-len(fat) // 127)
    fat += [_FAT] * of_fat
    sectors += struct.pack(f"<{len(fat)}I", *fat).ljust(512 * of_fat, b"\xff")
    numbers = (0x3E, 3, 0xFFFE, 9, 6, 0, 0, 0, of_fat, directory, 0, 4096, mini_fat, -(-len(chains) // 128))
    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16) + struct.pack("<6H8I", *numbers)
    places = [*range(first_fat, first_fat + of_fat), *[_NONE] * (109 - of_fat)]
    return header + struct.pack("<2I109I", _END, 0, *places) + sectors


def _add(entries: list[_Entry], tree: Tree) -> int:
    """Add a storage's entries as a balanced tree; return the number of its root."""
    numbers = []
    for name in sorted(tree, key=lambda name: (len(name), name.upper())):
        content = tree[name]
        numbers.append(len(entries))
        if isinstance(content, bytes):
            entries.append(_Entry(name, _STREAM, content))
        else:
            entries.append(_Entry(name, _STORAGE))
            entries[numbers[-1]].child = _add(entries, content)
    return _balanced(entries, numbers)


def _balanced(entries: list[_Entry], numbers: list[int]) -> int:
    if not numbers:
        return _NONE
    middle = len(numbers) // 2
    entries[numbers[middle]].left = _balanced(entries, numbers[:middle])
    entries[numbers[middle]].right = _balanced(entries, numbers[middle + 1 :])
    return numbers[middle]


def _packed(entry: _Entry) -> bytes:
    name, links = entry.name.encode("utf-16-le") + b"\0\0", (entry.left, entry.right, entry.child)
    return struct.pack("<64sHBB3I36x3I", name, len(name), entry.kind, 1, *links, entry.start, entry.size, 0)
