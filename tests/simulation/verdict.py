"""Check at the end that each version of each file ended in an allowed way."""

from __future__ import annotations

import json

from shared.documents.backlog import DocumentLedger
from shared.documents.identity import INBOX, is_final, short_id
from shared.model import Document, DocumentState
from tests.simulation.people import Version
from tests.simulation.record_files import FAILS, is_batch, objection
from tests.simulation.scenario import LARGE
from tests.simulation.world import World

_LONE_DEATHS = 3
"""A document is to blame if the process dies this often while it works on nothing else."""


async def judge_documents(world: World) -> None:
    """Check every version: the end of its document, its single result, and where its source is."""
    for version in world.people.versions:
        if version.upload.deployment not in world.people.configured:
            continue  # its deployment is no longer configured, so no process answers it
        if (objection := await _objection(world, version)) is not None:
            world.judge.fault("lost", f"{version.upload.blob} ({version.text[:60]}): {objection}")


async def _objection(world: World, version: Version) -> str | None:
    found = await DocumentLedger(world.tables, world).get(version.document.id)
    if found is None:
        # Overwritten or deleted before the app saw it: there was nothing to lose.
        return None if version.fate else "it is not in the ledger"
    if not is_final(found):
        excused = found.deployment in world.scenario.refused or version.hopeless or LARGE in version.text
        # Of two that Azure always refuses, neither can be told from an outage: docs/record-files.md says so.
        refused = [
            each
            for each in world.people.versions
            if each.upload.deployment == found.deployment and (each.hopeless or FAILS in each.text)
        ]
        excused = excused or (version in refused and len(refused) > 1)
        return None if excused else f"it is still {found.state}: {found.reason}"
    key = short_id(found)
    written = [name for name in world.judge.results if key in name]
    stored = [name for name in written if name.endswith(".json")]  # the others are for people
    marked = "[[" in version.text and LARGE not in version.text and not is_batch(version.text)
    match found.state:
        case DocumentState.DONE if is_batch(version.text):
            if stored != [found.result]:
                return f"it ended {found.state}: results {stored}"
            body = json.loads(await world.blobs.read("results", found.result))
            if (wrong := await objection(world.blobs, version.text, body)) is not None:
                return wrong
            ends_well = True
        case DocumentState.DONE:
            ends_well = stored == [found.result] and not marked
            if ends_well:
                body = (await world.blobs.read("results", found.result)).decode()
                queries = world.scenario.queries_of(found.deployment)
                ends_well = all(
                    f'"answer to {version.text}{query}"' in body
                    for query in [f"\\n\\n{query}" for query in queries] or [""]
                )
        case DocumentState.FAILED:
            ends_well = marked or world.judge.lone_deaths[f"w {key}"] >= _LONE_DEATHS
        case DocumentState.SUPERSEDED:
            ends_well = version.fate == "overwritten"
        case _:
            ends_well = version.fate != ""
    if not ends_well:
        return f"it ended {found.state}: {found.reason}; results {stored}"
    return None if version.fate else _source_objection(world, found)


def _source_objection(world: World, found: Document) -> str | None:
    """Check that a finished source lies in one place only: where the document says."""
    container, _, name = found.moved_to.partition("/")
    if not name or not world.blobs.has(container, name):
        return f"its source is not where it says: {found.moved_to or 'nowhere'}"
    if world.blobs.has(INBOX, found.name):
        item = world.blobs.item(INBOX, found.name)
        if item.etag == found.source_etag:
            return "its source is still in the inbox"
    return None
