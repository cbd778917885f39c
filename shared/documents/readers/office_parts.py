"""Find the parts of an Office file by their relationships, as a part's name means nothing."""

from __future__ import annotations

import posixpath
from collections.abc import Container, Iterator
from dataclasses import dataclass, replace
from urllib.parse import unquote

from lxml import etree

from shared.documents.readers.elements import damaged, local, value
from shared.documents.readers.package import Package
from shared.documents.readers.part import Part, ReadInside


@dataclass(frozen=True)
class _Relation:
    kind: str  # the last word of its type: the rest differs between strict and usual files
    target: str  # the name of a member, or an address outside of the file
    external: bool


class OfficePart:
    """A part that is XML. Every method raises DocumentRefused for a part that is named but not there."""

    def __init__(self, package: Package, name: str) -> None:
        root = package.xml(name)
        if root is None:
            raise damaged()
        self.name = name
        self.root: etree._Element = root
        self._package = package
        self._relations = _relations(package, name)

    def named(self, element: etree._Element, attribute: str = "id") -> OfficePart | None:
        """Return the part that the element names; None if it is outside of the file."""
        relation = self._relation(element, attribute)
        return None if relation.external else OfficePart(self._package, relation.target)

    def of_kind(self, kind: str, but: Container[str] = ()) -> Iterator[OfficePart]:
        """Yield the parts of a kind, such as comments, save for those of these names."""
        for relation in self._relations.values():
            if relation.kind == kind and not relation.external and relation.target not in but:
                yield OfficePart(self._package, relation.target)

    def file_inside(self, element: etree._Element, read_inside: ReadInside | None) -> Iterator[Part]:
        """Read the file that the element names, or say that it was not read."""
        relation = self._relation(element, "id")
        name = posixpath.basename(relation.target)
        if relation.external:
            yield Part(f"[The document links to {name} here. It was not read.]")
        elif read_inside is None or name.endswith(".bin"):  # .bin: a file within an OLE storage
            yield Part(f"[The document holds the file {name} here. It was not read.]")
        else:
            data = self._package.read(relation.target)
            if data is None:
                raise damaged()
            for part in read_inside(data, name):
                yield replace(part, inside=(name, *part.inside))

    def _relation(self, element: etree._Element, attribute: str) -> _Relation:
        for key, identifier in element.attrib.items():
            namespace, _, name = str(key).rpartition("}")
            if name == attribute and namespace.endswith("/relationships"):
                found = self._relations.get(str(identifier))
                if found is not None:
                    return found
        raise damaged()


def main_part(package: Package, root: str) -> OfficePart:
    """Return the part that holds the document itself. `root`: the name of its root element."""
    for relation in _relations(package, "").values():
        if relation.kind == "officeDocument":
            main = OfficePart(package, relation.target)
            if local(main.root) == root:
                return main
    raise damaged()


def _relations(package: Package, name: str) -> dict[str, _Relation]:
    folder, base = posixpath.split(name)
    root = package.xml(posixpath.join(folder, "_rels", f"{base}.rels"))
    entries = () if root is None else root.iter("{*}Relationship")
    return {value(entry, "Id"): _relation(package, entry, folder) for entry in entries}


def _relation(package: Package, entry: etree._Element, folder: str) -> _Relation:
    target, external = unquote(value(entry, "Target")), value(entry, "TargetMode") == "External"
    if not external:
        target = package.own_name(posixpath.normpath(posixpath.join("/", folder, target)).lstrip("/"))
    return _Relation(value(entry, "Type").rpartition("/")[2], target, external)
