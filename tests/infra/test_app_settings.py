"""App settings: the Bicep sets exactly those that the app, its triggers and libraries read."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping

import pytest

from shared import wiring
from shared.settings.bindings import read_bindings
from tests.infra.bicep import Deployed, Later
from tests.infra.shared_uses import ROOT

# azure-identity reads the user-assigned identity from it.
BY_THE_SDK = {"AZURE_CLIENT_ID"}
# The host reads these for each identity-based connection, and for its own storage tables too:
# https://learn.microsoft.com/azure/azure-functions/functions-reference#configure-an-identity-based-connection
BY_A_CONNECTION = ("blobServiceUri", "queueServiceUri", "credential", "clientId")
BY_APP_SERVICE = {"WEBSITE_HOSTNAME"}  # set and read there: the app's links begin with it
BY_THE_HOST = {"APPLICATIONINSIGHTS_CONNECTION_STRING", "APPLICATIONINSIGHTS_AUTHENTICATION_STRING"} | {
    f"AzureWebJobsStorage__{part}" for part in (*BY_A_CONNECTION, "tableServiceUri")
}

# Runs in a new process, because an app lists its functions only once.
LIST_BINDINGS = """
import json, function_app
print(json.dumps([
    binding
    for function in function_app.app.get_functions()
    for binding in json.loads(function.get_function_json())["bindings"]
]))
"""


class RecordedEnvironment(Mapping[str, str]):
    """An environment that records which names are read."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values
        self.names: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.names.add(name)
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


@pytest.fixture(scope="module")
def settings(deployed: Deployed) -> dict[str, str]:
    """Return the settings in the Bicep, with example addresses for values that only Azure knows."""
    (app,) = deployed.of_type("Microsoft.Web/sites")
    listed = app.properties["siteConfig"]["appSettings"]
    found = {setting["name"]: setting["value"] for setting in listed}
    assert len(found) == len(listed), "a setting is listed twice"
    return {
        name: f"https://{name}.example" if isinstance(value, Later) else str(value)
        for name, value in found.items()
    }


def read_by_the_triggers(settings: Mapping[str, str]) -> set[str]:
    """Return each %NAME% in a binding, and the settings of each connection that a binding names."""
    inherited = {key: value for key, value in os.environ.items() if key in ("PATH", "HOME", "SYSTEMROOT")}
    done = subprocess.run(
        [sys.executable, "-c", LIST_BINDINGS],
        cwd=ROOT,
        env={**inherited, **settings},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    bindings = json.loads(done.stdout)
    names = {name for binding in bindings for name in re.findall(r"%(\w+)%", json.dumps(binding))}
    connections = {binding["connection"] for binding in bindings if "connection" in binding}
    assert connections, "no trigger names a connection any more"
    return names | {f"{connection}__{part}" for connection in connections for part in BY_A_CONNECTION}


async def read_by_the_app(settings: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Return the settings that are read when the app is built, including ${NAMES} in deployments.yaml."""
    monkeypatch.chdir(ROOT)
    environment = RecordedEnvironment(settings)
    bindings = read_bindings(environment)
    assert bindings.problems == ()
    app = wiring.App(environment)
    await app.current()
    await app.close()
    return environment.names


async def test_the_settings_that_are_read_are_those_that_are_set(
    settings: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The app starts with exactly these settings: none is missing and none is unused."""
    by_the_app = await read_by_the_app(settings, monkeypatch)
    read = by_the_app | read_by_the_triggers(settings) | BY_THE_SDK | BY_THE_HOST
    assert read == set(settings) | BY_APP_SERVICE


def test_uploads_come_by_events_and_passes_every_minute(settings: dict[str, str]) -> None:
    """Flex Consumption supports only Event Grid, and alerts expect a pass every minute."""
    bindings = read_bindings(settings)
    assert (bindings.blob_source, bindings.ticks) == ("EventGrid", "0 * * * * *")


def test_there_is_no_secret_in_the_settings(settings: dict[str, str], deployed: Deployed) -> None:
    """Every connection uses an identity; the log's connection string alone gives no access."""
    credentials = {name: value for name, value in settings.items() if name.endswith("__credential")}
    assert set(credentials.values()) == {"managedidentity"} and len(credentials) == 2
    secrets = re.compile(r"accountkey=|sharedaccess|sig=|password|secret", re.IGNORECASE)
    assert [name for name, value in settings.items() if secrets.search(f"{name}={value}")] == []
    (insights,) = deployed.of_type("Microsoft.Insights/components")
    assert insights.properties["DisableLocalAuth"] is True
