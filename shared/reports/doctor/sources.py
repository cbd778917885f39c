"""Check the sources that deployments.yaml names, and their targets. Nothing is written there."""

from __future__ import annotations

from collections.abc import Sequence

from shared.app import Lamplighter
from shared.errors import SourceError, StorageError
from shared.model import ContainerSource, Source
from shared.ports import Connections, SourceFact
from shared.reports.doctor.findings import Finding, failed, ok, warning

_RIGHTS = (
    "check the account's name and network rules, and that the identity has the role Storage Blob Data Reader "
    "on this container; on a laptop it is yours (az login)"
)


async def sources(app: Lamplighter) -> list[Finding]:
    """Return a finding for each source."""
    found = list[Finding]()
    for config in app.settings.deployments.values():
        if config.source is None:
            continue
        check = f"source of {config.name}"
        try:
            facts = await _facts(app.sources.connections, config.source)
        except SourceError as error:
            found.append(failed(check, error.what, error.remedy))
        except StorageError as error:
            found.append(failed(check, str(error), _RIGHTS))
        else:
            found += [_finding(check, fact) for fact in facts]
    return found


async def _facts(connections: Connections, source: Source) -> Sequence[SourceFact]:
    if not isinstance(source, ContainerSource):
        return await connections.rows(source).check()
    page = await connections.folder(source).page(None, 1)
    there = "has files" if page.items else "is empty"
    return [SourceFact(f"the container {source.container} can be listed, and {there} below its prefix")]


def _finding(check: str, fact: SourceFact) -> Finding:
    if not fact.remedy:
        return ok(check, fact.what)
    return (warning if fact.works else failed)(check, fact.what, fact.remedy)
