"""Load deployments.yaml and the files it names from a blob container: it can change without a redeploy.

A new version is validated before it is used. If it, or storage, fails, an alert is raised and the last good
version stays in force; a copy of that is kept in storage, too. Other blobs in the container are ignored.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import posixpath
import re
import tempfile
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from shared.alerts import Alert, alert
from shared.errors import (
    AlreadyExists,
    BlobRefused,
    Changed,
    ContainerMissing,
    Missing,
    SettingProblem,
    SettingsError,
    StorageError,
)
from shared.model import Settings
from shared.ports import BlobItem, Blobs
from shared.settings.load import files_named, load
from shared.settings.text import LARGEST

PREFIX = "blob:"
"""DEPLOYMENTS_FILE=blob:CONTAINER/deployments.yaml names a blob instead of a file."""
LAST_GOOD = "deployments-last-good"  # container
_PAGE = 5000  # blobs of one listing, Azure's most
_MANY = 200  # files that deployments.yaml may name
_ODD = re.compile(r"[\x00-\x1f\x7f\\:\ud800-\udfff]")


class SettingsBlob:
    """The configuration in a container of its own, checked for changes on every load."""

    def __init__(self, blobs: Blobs, place: str, environment: Mapping[str, str]) -> None:
        self._blobs = blobs
        self._place = place
        self._container, _, self._name = place.removeprefix(PREFIX).partition("/")
        self._environment = environment
        self._versions: dict[str, str | None] = {self._name: None}  # ETags of the files in use
        self._settings: Settings | None = None
        self._mistakes: SettingsError | None = None  # of these versions, if another one is in force
        self.problem: SettingsError | StorageError | None = None
        """Why the last load returned the last good version; None if it returned the present one."""
        self._to_keep: Mapping[str, str] | None = None

    async def load(self) -> Settings:
        """Return the version in force.

        Raises SettingsError or StorageError if there is no good version, neither now nor kept. A broken
        version raises one alert; while storage cannot be read, every call tries and raises one.
        """
        if not self._container or not self._name:
            problem = SettingProblem("DEPLOYMENTS_FILE", self._place, "write blob:CONTAINER/deployments.yaml")
            raise SettingsError("app settings", [problem])
        try:
            try:
                settings = await self._current()
            except (Changed, Missing):  # it was replaced between listing and reading
                settings = await self._current()
            self.problem = self._mistakes
        except StorageError as error:
            settings = await self._last_good(error)
            self.problem = error
        self._settings = settings
        if self._to_keep is not None:
            await self._keep(self._to_keep)
        return settings

    async def _current(self) -> Settings:
        items = await self._find(self._versions)
        versions = {name: item.etag if item else None for name, item in items.items()}
        if self._settings is not None and versions == self._versions:
            return self._settings
        return await self._changed(items[self._name])

    async def _changed(self, item: BlobItem | None) -> Settings:
        """Return the new version, or the last good one if the new one cannot be used."""
        versions = {self._name: item.etag if item else None}
        mistakes: SettingsError | None = None
        try:
            files = await self._read(item, versions)
            settings = self._parsed(files)
        except SettingsError as error:
            settings = await self._last_good(error, ", ".join(str(etag) for etag in versions.values()))
            mistakes = error
        else:
            self._to_keep = files
        self._versions, self._mistakes = versions, mistakes
        return settings

    # --- the container ----------------------------------------------------------------------------

    async def _find(self, names: Collection[str]) -> dict[str, BlobItem | None]:
        """Return the current properties of these blobs, usually with one call."""
        page = await self._blobs.list(self._container, None, _PAGE)
        listed = {item.name: item for item in page.items}
        found: dict[str, BlobItem | None] = {name: listed.get(name) for name in names}
        if page.token is not None:
            missing = [name for name, item in found.items() if item is None]
            stats = await asyncio.gather(*(self._blobs.stat(self._container, name) for name in missing))
            found |= dict(zip(missing, stats, strict=True))
        return found

    async def _read(self, item: BlobItem | None, versions: dict[str, str | None]) -> Mapping[str, str]:
        """Read deployments.yaml and the files that it names; add their ETags to `versions`."""
        if item is None:
            remedy = f"there is no such blob in the container {self._container}: upload it"
            raise self._error(self._name, remedy)
        files = {self._name: await self._text(item)}
        named = self._named(files[self._name])
        for name, found in (await self._find(named)).items():
            versions[name] = found.etag if found else None
            if found is not None:  # a missing file is reported with all other mistakes
                files[name] = await self._text(found)
        return files

    async def _text(self, item: BlobItem) -> str:
        if item.size > LARGEST:
            raise self._error(item.name, f"has {item.size:,} bytes; {LARGEST:,} are allowed")
        try:
            data = await self._blobs.read(self._container, item.name, item.etag)
        except BlobRefused as error:
            raise self._error(item.name, error.reason) from error
        return data.decode("utf-8", "surrogateescape")

    def _named(self, text: str) -> list[str]:
        """Return the blobs that a deployments.yaml names, as full names in the container."""
        with self._unpacked({self._name: text}) as path:
            names = files_named(path, self._environment)
        if len(names) > _MANY:
            raise self._error(self._name, f"names {len(names)} files; {_MANY} are allowed")
        folder = posixpath.dirname(self._name)
        return [self._inside(posixpath.normpath(posixpath.join(folder, name)), name) for name in names]

    def _inside(self, blob: str, name: str) -> str:
        """Return the blob's full name. Raises SettingsError unless it is a plain one in this container."""
        parts = blob.split("/")
        if ".." in parts or blob.startswith("/") or _ODD.search(blob):
            raise self._error(ascii(name[:80]), "name a file of the container, as tasks/prompt.md")
        if max(len(part.encode()) for part in parts) > 200 or len(blob) > 1000:
            raise self._error(ascii(name[:80]), "the name is too long")
        return blob

    # --- the content ------------------------------------------------------------------------------

    def _parsed(self, files: Mapping[str, str]) -> Settings:
        with self._unpacked(files) as path:
            return load(path, self._environment)

    @contextlib.contextmanager
    def _unpacked(self, files: Mapping[str, str]) -> Iterator[Path]:
        """Write the files to a temporary folder, for the context. Raises SettingsError only."""
        try:
            with tempfile.TemporaryDirectory() as folder:
                for name, text in files.items():
                    path = Path(folder) / self._inside(posixpath.normpath(name), name)
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(text.encode("utf-8", "surrogateescape"))
                yield Path(folder) / self._name
        except SettingsError:
            raise
        except Exception as error:  # an odd file may raise anything in a parser
            raise self._error(self._name, f"cannot be used ({type(error).__name__})") from error

    def _error(self, key: str, remedy: str) -> SettingsError:
        return SettingsError(self._name, [SettingProblem(key, "", remedy)])

    # --- the last good one ------------------------------------------------------------------------

    async def _keep(self, files: Mapping[str, str]) -> None:
        """Store this as the last good version if it differs from the stored one."""
        data = json.dumps(files, sort_keys=True).encode()
        try:
            with contextlib.suppress(Missing, ContainerMissing):
                kept = await self._blobs.stat(LAST_GOOD, self._name)
                if kept is not None and await self._blobs.read(LAST_GOOD, self._name) == data:
                    self._to_keep = None
                    return
                if kept is not None:
                    await self._blobs.delete(LAST_GOOD, self._name, kept.etag)
            # It exists already: another process stores the version that it found.
            with contextlib.suppress(AlreadyExists):
                await self._blobs.create(LAST_GOOD, self._name, data, "application/json")
            self._to_keep = None
        except StorageError as error:
            remedy = (
                f"the configuration in force could not be kept in {LAST_GOOD}, it is tried again: {error}"
            )
            alert(Alert.STORAGE_REFUSED, remedy, container=LAST_GOOD, code=error.code)

    async def _last_good(self, error: SettingsError | StorageError, version: str = "") -> Settings:
        """Return the last good version, from memory or storage; raise `error` if there is none.

        `version`: the ETags of the broken one, as every broken version raises an alert of its own.
        """
        settings = self._settings
        if settings is None:
            try:
                kept = json.loads(await self._blobs.read(LAST_GOOD, self._name))
                files = {self._name: str(kept[self._name])}
                files |= {name: str(kept[name]) for name in self._named(files[self._name]) if name in kept}
                settings = self._parsed(files)
            except (StorageError, SettingsError, ValueError, KeyError, TypeError, RecursionError):
                raise error from None
        remedy = f"the last good version stays in force until this is corrected: {error}"
        alert(Alert.SETTINGS_BROKEN, remedy, container=self._container, version=version)
        return settings
