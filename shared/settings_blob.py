"""deployments.yaml and the files that it names, in a blob container: a schedule changes without a redeploy.

A new version is validated before it is used. A broken one is an alert, and the last good one, which is kept
in storage too, stays in force.
"""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from shared.alerts import Alert, alert
from shared.domain import Settings
from shared.errors import AlreadyExists, Missing, SettingProblem, SettingsError
from shared.ports import BlobItem, Blobs
from shared.settings import load

PREFIX = "blob:"
"""DEPLOYMENTS_FILE=blob:CONTAINER/deployments.yaml names a blob instead of a file."""
LAST_GOOD = "deployments-last-good"  # container
_MANY = 200
_LARGEST = 1_000_000  # bytes of one file


class SettingsBlob:
    """The configuration in a container of its own, looked at whenever it is asked for."""

    def __init__(self, blobs: Blobs, place: str, environment: Mapping[str, str]) -> None:
        self._blobs = blobs
        self._container, _, self._name = place.removeprefix(PREFIX).partition("/")
        self._environment = environment
        self._versions: dict[str, str] = {}
        self._settings: Settings | None = None

    async def load(self) -> Settings:
        """The version in force. Raises SettingsError when there is neither a new nor a last good one."""
        items = (await self._blobs.list(self._container, None, _MANY)).items
        versions = {item.name: item.etag for item in items}
        if self._settings is not None and versions == self._versions:
            return self._settings
        try:
            files = await self._read(items)
            settings = self._parsed(files)
        except SettingsError as error:
            settings = await self._last_good(error)
            alert(
                Alert.SETTINGS_BROKEN, f"the last good version stays in force until this is mended: {error}"
            )
        else:
            await self._keep(files)
        self._settings, self._versions = settings, versions
        return settings

    async def _read(self, items: tuple[BlobItem, ...]) -> dict[str, str]:
        if not any(item.name == self._name for item in items):
            remedy = f"there is no such blob in the container {self._container}: upload it"
            raise SettingsError(self._name, [SettingProblem(self._name, "", remedy)])
        files = {}
        for item in items:
            if item.size > _LARGEST:
                remedy = f"has {item.size:,} bytes; this container is for deployments.yaml and its tasks only"
                raise SettingsError(self._name, [SettingProblem(item.name, "", remedy)])
            data = await self._blobs.read(self._container, item.name, item.etag)
            files[item.name] = data.decode("utf-8", "surrogateescape")
        return files

    def _parsed(self, files: Mapping[str, str]) -> Settings:
        with tempfile.TemporaryDirectory() as folder:
            for name, text in files.items():
                if ".." in PurePosixPath(name).parts or PurePosixPath(name).is_absolute():
                    continue
                path = Path(folder) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(text.encode("utf-8", "surrogateescape"))
            return load(Path(folder) / self._name, self._environment)

    async def _keep(self, files: Mapping[str, str]) -> None:
        """Make this the last good version, if it is another than the one that is kept."""
        data = json.dumps(files, sort_keys=True).encode()
        kept = await self._blobs.stat(LAST_GOOD, self._name)
        if kept is not None:
            if await self._blobs.read(LAST_GOOD, self._name) == data:
                return
            await self._blobs.delete(LAST_GOOD, self._name, kept.etag)
        with contextlib.suppress(AlreadyExists):
            await self._blobs.create(LAST_GOOD, self._name, data, "application/json")

    async def _last_good(self, error: SettingsError) -> Settings:
        if self._settings is not None:
            return self._settings
        try:
            kept = await self._blobs.read(LAST_GOOD, self._name)
        except Missing:
            raise error from None
        return self._parsed(json.loads(kept))
