"""Build the app from settings and adapters. Only this file knows the adapters; a trigger imports it."""

from __future__ import annotations

import asyncio
import gc
import os
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from shared.adapters.blobs import AzureBlobs
from shared.adapters.credentials import is_local
from shared.adapters.function_keys import FunctionKeys
from shared.adapters.openai import AzureModel
from shared.adapters.receivers import HttpSender
from shared.adapters.sources import SourceConnections
from shared.adapters.storage_clock import StorageClock, TimedTables
from shared.adapters.tables import AzureTables
from shared.app import Lamplighter
from shared.batches.files import Files
from shared.batches.intake import BatchIntake
from shared.batches.ledger import BatchLedger
from shared.batches.room import Batches
from shared.documents.backlog import DocumentLedger
from shared.documents.drain_tools import DrainTools
from shared.documents.intake import Intake
from shared.documents.records.staging import Staging
from shared.documents.results import Results
from shared.documents.source import Sources
from shared.documents.unpack import Unpacker
from shared.errors import SettingProblem, SettingsError, StorageError
from shared.hosting.ledger import Ledger
from shared.hosting.observe import HostingContext
from shared.model import Owner, Settings
from shared.notify.deliver import Delivery
from shared.notify.outbox import Outbox
from shared.ports import Blobs, Clock, Connections, Model, Provider, Sender, Tables
from shared.providers.azure_openai.arm import AzureOpenAI
from shared.settings.bindings import STORAGE
from shared.settings.blob import PREFIX, SettingsBlob
from shared.settings.load import load
from shared.sources.arrivals import Arrivals
from shared.sources.sync import SourceSync
from shared.timing import TIMING, Timing

_AZURE = "https://management.azure.com"
_MISSING = (
    "is missing from the app settings: commands read them from the environment, or from --settings FILE"
)
GARBAGE = (10_000, 20, 20)
"""When Python looks for garbage: with its own 700 objects that takes a fifth of the CPU time of requests."""
_app: App | None = None


class SystemClock:
    """Implement `shared.ports.Clock` with the host's real time."""

    def now(self) -> datetime:
        """See the port."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """See the port."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """See the port."""
        await asyncio.sleep(seconds)


class App:
    """Hold the adapters, and the app that is built from the configuration in force."""

    def __init__(self, environment: Mapping[str, str], timing: Timing = TIMING) -> None:
        """Connect to storage. Raises SettingsError for app settings that cannot be used."""
        problems: list[SettingProblem] = []
        blobs = _url(environment, f"{STORAGE}__blobServiceUri", "", problems)
        tables = _url(environment, f"{STORAGE}__tableServiceUri", "", problems)
        arm = _url(environment, "AZURE_RESOURCE_MANAGER_ENDPOINT", _AZURE, problems)
        if problems:
            raise SettingsError("app settings", problems)
        gc.set_threshold(*GARBAGE)
        self._environment = environment
        self._timing = timing
        self._storage = storage_name(tables)
        self.clock = SystemClock()
        self.tables, self.blobs = AzureTables(tables), AzureBlobs(blobs)
        self._model = AzureModel()
        self.provider = AzureOpenAI(arm, self._model)
        self._sender = HttpSender()
        self._connections = SourceConnections()
        host = environment.get("WEBSITE_HOSTNAME")  # set by App Service
        self._app_url = _own_url(host) if host else ""
        self.keys = FunctionKeys(self._app_url)
        self._sources = Sources(self.blobs)  # one for the process: its memory limit outlives configurations
        self._file = environment.get("DEPLOYMENTS_FILE") or "deployments.yaml"
        self._blob = SettingsBlob(self.blobs, self._file, environment)
        self._current: Lamplighter | None = None

    async def current(self) -> Lamplighter:
        """Return the app as configured now.

        Raises SettingsError, and StorageError if the configuration is a blob.
        """
        if self._file.startswith(PREFIX):
            settings = await self._blob.load()
        elif self._current is not None:
            return self._current
        else:
            settings = load(Path(self._file), self._environment)
        if self._current is None or self._current.settings is not settings:
            self._current = assemble(
                settings,
                self.clock,
                self.tables,
                self.blobs,
                self.provider,
                self._model,
                self._sources,
                self._sender,
                self._connections,
                storage=self._storage,
                app_url=self._app_url,
                timing=self._timing,
            )
        return self._current

    @property
    def settings_problem(self) -> SettingsError | StorageError | None:
        """Return why the last good version of the configuration is in force; None if the present one is."""
        return self._blob.problem

    async def close(self) -> None:
        """Close the connections."""
        own = (self.tables, self.blobs, self.provider, self._model, self._sources, self._sender)
        for adapter in (*own, self._connections, self.keys):
            await adapter.close()


async def current() -> Lamplighter:
    """Return the app of this process.

    Raises StorageError, and SettingsError: on this call and on every later one.
    """
    return await _of_process().current()


async def accepts(key: str) -> bool:
    """Return whether this is a function key of this app. Raises KeysUnavailable, SettingsError."""
    return await _of_process().keys.accept(key)


def _of_process() -> App:
    global _app
    if _app is None:
        _app = App(os.environ)
    return _app


def assemble(
    settings: Settings,
    clock: Clock,
    tables: Tables,
    blobs: Blobs,
    provider: Provider,
    model: Model,
    sources: Sources | None = None,
    sender: Sender | None = None,
    connections: Connections | None = None,
    *,
    storage: str = "",
    app_url: str = "",
    timing: Timing = TIMING,
) -> Lamplighter:
    """Build the app on implementations of the ports.

    `storage`: the name of the storage account. `app_url`: where the app's API is; empty if that is unknown.
    """
    clock = StorageClock(clock)
    tables = TimedTables(tables, clock)
    owner = Owner(settings.installation, storage)
    receivers = {name: config.notify for name, config in settings.deployments.items()}
    outbox = Outbox(receivers, settings.prices, settings.installation, app_url)
    documents, ledger = DocumentLedger(tables, clock, outbox), Ledger(tables)
    results, sources = Results(blobs, documents), sources or Sources(blobs)
    unpacker = Unpacker(clock, blobs, documents, results, sources, settings.max_document_bytes)
    staging = Staging(blobs, sources.sandbox, settings.prices)
    tools = DrainTools(
        *(clock, timing, tables, blobs, model, documents, results, ledger, settings.prices, sources),
        *(unpacker, staging),
    )
    intake = Intake(
        *(clock, tables, blobs, documents, results, settings, sources, ledger, unpacker, staging),
        tools.hosted_here,
    )
    rows = BatchLedger(tables)
    return Lamplighter(
        settings=settings,
        context=HostingContext(
            clock, timing, tables, blobs, provider, documents, ledger, owner, settings.prices, outbox
        ),
        documents=documents,
        results=results,
        intake=intake,
        drain_tools=tools,
        delivery=Delivery(tables, clock, sender or HttpSender()),
        sources=SourceSync(
            *(clock, tables, blobs, documents),
            Arrivals(clock, blobs, documents, results, intake, settings),
            connections or SourceConnections(),
        ),
        batches=Batches(
            rows,
            Files(blobs, rows),
            BatchIntake(clock, blobs, settings, rows, documents, intake.records, ledger),
        ),
    )


def storage_name(url: str) -> str:
    """Return the storage account's name in a service URL; Azurite has it in the path."""
    parts = urlsplit(url)
    return parts.path.strip("/").split("/")[0] if is_local(url) else (parts.hostname or "").split(".")[0]


def _own_url(host: str) -> str:
    """Return the URL of the app's own host. On a developer's machine it speaks http, on loopback only."""
    local = f"http://{host}"
    return local if is_local(local) else f"https://{host}"


def _url(environment: Mapping[str, str], name: str, default: str, problems: list[SettingProblem]) -> str:
    """Return the URL of an app setting; note a problem unless it is https or the local stack's.

    Tokens are sent to this URL.
    """
    url = environment.get(name) or default
    if not url:
        problems.append(SettingProblem(name, "", _MISSING))
    elif not url.startswith("https://") and not is_local(url):
        problems.append(SettingProblem(name, url, "must be an https URL"))
    return url
