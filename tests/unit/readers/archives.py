"""Small files of Office and OpenDocument, from the XML that a test writes."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping

from shared.documents.readers.package import Package

_URIS = {
    **{
        prefix: f"urn:test:{prefix}"
        for prefix in ("w", "a", "p", "m", "v", "o", "mc", "c", "dgm", "manifest")
    },
    **{prefix: f"urn:test:{prefix}" for prefix in ("office", "text", "table", "style", "xlink")},
    "draw": "urn:oasis:names:tc:opendocument:xmlns:drawing:1.0",
    "r": "http://schemas.openxmlformats.org/officeDocument/2006/relationships",
}
NAMESPACES = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in _URIS.items())
"""Readers compare local names: the strict and the usual format differ in nothing else."""


def archive(members: Mapping[str, str]) -> bytes:
    """The bytes of a ZIP archive."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as file:
        for name, text in members.items():
            file.writestr(name, text)
    return data.getvalue()


def package(members: Mapping[str, str]) -> Package:
    """The archive as readers get it."""
    return Package(archive(members))


def xml(root: str, content: str) -> str:
    """A member; the root's attributes may follow its name."""
    return f"<{root} {NAMESPACES}>{content}</{root.split()[0]}>"


def relations(**targets: str) -> str:
    """A part's relationships. `targets`: by identifier, kind and target, as `comments comments.xml`."""
    entries = "".join(
        f'<Relationship Id="{identifier}" Type="http://test/{target.split()[0]}" Target="{target.split()[1]}"'
        + (' TargetMode="External"/>' if "//" in target else "/>")
        for identifier, target in targets.items()
    )
    return f"<Relationships>{entries}</Relationships>"
