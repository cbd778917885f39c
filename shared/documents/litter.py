"""Recognise litter by its name: files that editors, file managers, downloads and copy tools leave behind."""

from __future__ import annotations

import re

from shared.ports import BlobItem

_FILES = frozenset(
    {
        "thumbs.db",
        "ehthumbs.db",
        "desktop.ini",
        ".ds_store",
        ".localized",
        ".directory",
        ".apdisk",
        ".hidden",
    }
)
_FOLDERS = frozenset(
    {
        "__macosx",
        "@eadir",
        "$recycle.bin",
        "system volume information",
        ".git",
        ".svn",
        ".trashes",
        ".fseventsd",
        ".spotlight-v100",
        ".documentrevisions-v100",
        ".temporaryitems",
    }
)
_PREFIXES = (
    "~$",  # Office: who has the document open
    "._",  # macOS: attributes of the file beside it
    ".#",  # Emacs: a lock
    ".nfs0",  # NFS: deleted and still open
    ".smbdelete",
    ".fuse_hidden",
    ".goutputstream-",
    ".trash-",
)
_SUFFIXES = (
    "~",  # editors: the version before
    ".tmp",
    ".part",
    ".partial",
    ".filepart",
    ".crdownload",
    ".opdownload",
    ".aria2",
    ".!ut",
    ".!qb",
    ".swp",
)
_PATTERN = re.compile(
    r"\.~lock\..+#"  # LibreOffice: who has the document open
    r"|#.+#"  # Emacs: saved by itself
    r"|\..+\.sw[a-p]",  # vim: further swap files
    re.DOTALL,
)


def is_litter(name: str) -> bool:
    """Return whether a blob of this name is no document: litter, or anything in a folder of litter.

    Only the name counts, without regard to case. `report~final.txt` and `tmp.txt` are documents.
    """
    *folders, file = name.casefold().split("/")
    return (
        file in _FILES
        or file.startswith(_PREFIXES)
        or file.endswith(_SUFFIXES)
        or _PATTERN.fullmatch(file) is not None
        or not _FOLDERS.isdisjoint(folders)
        or any(folder.startswith(".trash-") for folder in folders)
    )


def is_nobodys(item: BlobItem) -> bool:
    """Return whether a blob is no document and is never touched: litter, or a folder marker."""
    return is_litter(item.name) or (not item.size and (item.is_folder or item.name.endswith("/")))
