"""Simulate people: they drop, change and delete files, hold deployments, and change the configuration."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from shared.app import Lamplighter
from shared.documents.identity import INBOX, identify, short_id
from shared.errors import DocumentRefused, StorageError
from shared.hosting.ledger import Ledger
from shared.model import DeploymentConfig, Document, DocumentState, Hold, UploadStart
from shared.schedule.windows import Interval, intervals
from tests.simulation.process import Process
from tests.simulation.scenario import HOPELESS, KILLS, KILLS_READING, LARGE, START, Happening, Upload

if TYPE_CHECKING:
    from tests.simulation.world import World


@dataclass(frozen=True)
class Held:
    """A hold as people set it. Times are seconds since the start."""

    deployment: str
    up: bool
    since: float
    until: float


@dataclass
class Version:
    """One version of a file in the inbox, and its later fate."""

    upload: Upload
    document: Document
    text: str
    fate: str = ""

    @property
    def hopeless(self) -> bool:
        """Return whether Azure never answers it and never gives a reason."""
        return any(mark in self.text for mark in HOPELESS)

    @property
    def troublesome(self) -> bool:
        """Return whether the app may sometimes give up hosting for it."""
        return self.hopeless or any(mark in self.text for mark in (KILLS, KILLS_READING, LARGE))


class People:
    """Uploads, holds and the configuration in force."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.configured = {config.name: config for config in world.scenario.configs}
        self.versions: list[Version] = []
        self.by_row: dict[str, Version] = {}  # by the key of its unfinished row
        self._newest: dict[str, Version] = {}  # by the name of its blob
        self._fated: dict[str, list[Version]] = {}  # by the name of its upload's blob
        self._windows: dict[str, list[Interval]] = {}
        self.uploaded_at = 0.0
        self.reconfigured_at = 0.0
        self._held: list[Held] = []

    # --- files ----------------------------------------------------------------------------------

    def upload(self, upload: Upload, text: str) -> None:
        """Drop or overwrite a file. Its event may come late, twice or never."""
        world, random = self._world, self._world.random
        self._seal_fate(upload, "overwritten")
        self.uploaded_at = world.seconds()
        world.blobs.upload(INBOX, upload.blob, text.encode())
        item = world.blobs.item(INBOX, upload.blob)
        version = Version(upload, identify(item, upload.deployment), text)
        self.versions.append(version)
        self.by_row[f"w {short_id(version.document)}"] = self._newest[upload.blob] = version
        self._fated.setdefault(upload.blob, []).append(version)
        world.note(f"upload {upload.blob}: {text[:60]}")
        if upload.then and text == upload.text:
            world.call_later(upload.after, self._change, upload)
        if random.random() >= world.scenario.lost_events:
            for _ in range(1 if random.random() < 0.9 else 2):
                late = random.random() < 0.05
                delay = random.uniform(10, 600) if late else random.expovariate(1 / 3)
                world.call_later(delay, self._deliver, upload.blob)

    def _change(self, upload: Upload) -> None:
        if upload.then == "overwritten":
            self.upload(upload, f"{upload.text} again")
        elif upload.blob in self._world.blobs.names(INBOX):
            self._world.note(f"{upload.blob} is deleted by its owner")
            self._world.blobs.remove(INBOX, upload.blob)
            self._seal_fate(upload, "deleted")

    def _seal_fate(self, upload: Upload, fate: str) -> None:
        for version in self._fated.get(upload.blob, ()):
            version.fate = version.fate or fate

    def _deliver(self, name: str) -> None:
        host = self._world.some_host()
        if host is not None:
            host[0].spawn(f"event {name}", self._world.ours.messages.upload_event(*host, name))

    # --- deployments ----------------------------------------------------------------------------

    def happen(self, happening: Happening) -> None:
        """Carry out one happening of the scenario."""
        name, world = happening.deployment, self._world
        config = self.configured.get(name)
        if config is None:
            return
        world.note(f"{happening.what} {name}")
        match happening.what:
            case "vanish":
                world.azure.vanish(name)
            case "silent":
                world.azure.fall_silent(name)
            case "locked" | "full" | "strange" | "reduced":
                world.azure.begin_spell(happening.what, name, happening.seconds)
            case "missed":
                world.azure.begin_spell(f"missed {happening.how}", name, happening.seconds)
            case "outage" | "refusing":
                world.azure.begin_trouble((name,), happening.what, happening.how, happening.seconds)
            case "account_outage":
                names = [other.name for other in world.scenario.configs if other.account == config.account]
                world.azure.begin_trouble(names, "outage", happening.how, happening.seconds)
            case "readonly":
                for other in world.scenario.configs:
                    if other.account == config.account:
                        world.azure.begin_spell("readonly", other.name, happening.seconds)
            case "ignored":
                world.azure.ignore_deletes(name, int(happening.how))
            case "lingering":
                world.azure.prolong_next_delete(name, happening.seconds)
            case "moved":
                world.azure.recreate_account(config.account, happening.how)
            case "foreign":
                world.azure.create_from_outside(config, name, "foreign", happening.seconds)
            case "second":
                world.azure.create_from_outside(config, f"theirs-{name}", "second", happening.seconds)
            case "up" | "down":
                self._hold(config, happening.what == "up", happening.seconds)
            case "requeue":
                host = world.some_host()
                if host is not None:
                    host[0].spawn(f"requeue {name}", _requeue(host[1], name))
            case "remove":
                del self.configured[name]
                self.reconfigured_at = world.seconds()
                world.disturbed(0.0)
                for process in world.processes():
                    process.crash()

    def _hold(self, config: DeploymentConfig, up: bool, seconds: float) -> None:
        world = self._world
        hold = Hold(
            config.name, up, world.now() + timedelta(seconds=seconds), "somebody", "a test", world.now()
        )
        world.run_beside(Ledger(world.tables).save_hold(config.account, hold))
        # A new hold replaces the one before.
        self._held = [
            replace(held, until=min(held.until, world.seconds())) if held.deployment == config.name else held
            for held in self._held
        ]
        self._held.append(Held(config.name, up, world.seconds(), world.seconds() + seconds))

    def hold(self, name: str) -> Held | None:
        """Return the hold in force."""
        now = self._world.seconds()
        of_name = (held for held in reversed(self._held) if held.deployment == name)
        return next((held for held in of_name if held.since <= now < held.until), None)

    def hold_ends(self, name: str) -> list[float]:
        return [held.until for held in self._held if held.deployment == name]

    def windows(self, name: str) -> list[Interval]:
        """Return the windows of the whole run."""
        if name not in self._windows:
            config = self.configured[name]
            end = START + timedelta(hours=8)
            self._windows[name] = intervals(config.windows, START, end, config.closures)
        return self._windows[name]

    def waiting(self) -> set[str]:
        """Return the deployments with waiting files that can be answered, recorded or not."""
        world = self._world
        names = {blob for blob in world.blobs.names(INBOX) if not self._is_hopeless(self._newest.get(blob))}
        of_files = {name.partition("/")[0] for name in names}
        return of_files | {
            name
            for name, known in world.judge.deployments.items()
            if any(not self._is_hopeless(self.by_row.get(key)) for key in known.recorded)
        }

    def only_hopeless(self) -> bool:
        """Return whether files wait and none of them can ever be answered."""
        return not self.waiting() and any(known.recorded for known in self._world.judge.deployments.values())

    def _is_hopeless(self, version: Version | None) -> bool:
        return version is not None and version.hopeless

    def may_be_answered(self, name: str) -> bool:
        """Return whether documents of a deployment can still be answered."""
        config = self.configured.get(name)
        if config is None or name in self._world.scenario.refused:
            return False
        if config.uploads is UploadStart.ON_DEMAND:
            return True
        return any(self._world.now() < window.end for window in self.windows(name))


async def _requeue(app: Lamplighter, name: str) -> None:
    """Requeue every failed document."""
    history = await app.documents.listed(name, None, "", 1000)
    for document in history.documents:
        if document.state is DocumentState.FAILED:
            with contextlib.suppress(DocumentRefused, StorageError):
                await app.intake.requeue(document)


async def five_tries(process: Process, app: Lamplighter, name: str) -> str | None:
    """Try an upload event up to five times, as the Functions host does after an exception.

    Returns the deployment that the next message names, if any.
    """
    for _ in range(5):
        try:
            return await app.document_uploaded(name)
        except StorageError:
            await process.sleep(2.0)
    return None
