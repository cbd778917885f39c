"""App settings: what the app, its triggers and libraries ask for is set in the Bicep, and nothing else."""

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

# azure-identity takes the user-assigned identity from it.
BY_THE_SDK = {"AZURE_CLIENT_ID"}
# The host asks each identity-based connection for these, and its own storage for tables too:
# https://learn.microsoft.com/azure/azure-functions/functions-reference#configure-an-identity-based-connection
BY_A_CONNECTION = ("blobServiceUri", "queueServiceUri", "credential", "clientId")
BY_THE_HOST = {"APPLICATIONINSIGHTS_CONNECTION_STRING", "APPLICATIONINSIGHTS_AUTHENTICATION_STRING"} | {
    f"AzureWebJobsStorage__{part}" for part in (*BY_A_CONNECTION, "tableServiceUri")
}

# In a process of its own, as an app tells its functions once only.
TELL = """
import json, function_app
print(json.dumps([
    binding
    for each in function_app.app.get_functions()
    for binding in json.loads(each.get_function_json())["bindings"]
]))
"""


class Asked(Mapping[str, str]):
    """An environment that remembers which names were asked for."""

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
    """The settings in the Bicep; what only Azure knows is an address here."""
    (app,) = deployed.of_type("Microsoft.Web/sites")
    listed = app.properties["siteConfig"]["appSettings"]
    found = {each["name"]: each["value"] for each in listed}
    assert len(found) == len(listed), "a setting is there twice"
    return {
        name: f"https://{name}.example" if isinstance(value, Later) else str(value)
        for name, value in found.items()
    }


def asked_by_the_triggers(settings: Mapping[str, str]) -> set[str]:
    """%NAME% in any binding, and the parts of each connection that one names."""
    inherited = {key: value for key, value in os.environ.items() if key in ("PATH", "HOME", "SYSTEMROOT")}
    told = subprocess.run(
        [sys.executable, "-c", TELL], cwd=ROOT, env={**inherited, **settings}, capture_output=True, text=True
    )
    assert told.returncode == 0, told.stderr
    bindings = json.loads(told.stdout)
    names = {name for each in bindings for name in re.findall(r"%(\w+)%", json.dumps(each))}
    connections = {each["connection"] for each in bindings if "connection" in each}
    assert connections, "no trigger names a connection any more"
    return names | {f"{each}__{part}" for each in connections for part in BY_A_CONNECTION}


async def asked_by_the_app(settings: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """What is looked up when the app is built, deployments.yaml and its ${NAMES} included."""
    monkeypatch.chdir(ROOT)
    environment = Asked(settings)
    bindings = read_bindings(environment)
    assert bindings.problems == ()
    app = wiring.App(environment)
    await app.current()
    await app.close()
    return environment.names


async def test_what_is_asked_for_is_what_is_set(
    settings: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The app starts on exactly these settings: none is missing, none is there that nobody reads."""
    by_the_app = await asked_by_the_app(settings, monkeypatch)
    asked = by_the_app | asked_by_the_triggers(settings) | BY_THE_SDK | BY_THE_HOST
    assert asked == set(settings)


def test_uploads_come_by_events_and_passes_every_minute(settings: dict[str, str]) -> None:
    """Event Grid is the only source on Flex Consumption, and alerts count on a pass a minute."""
    bindings = read_bindings(settings)
    assert (bindings.blob_source, bindings.ticks) == ("EventGrid", "0 * * * * *")


def test_there_is_no_secret_in_the_settings(settings: dict[str, str], deployed: Deployed) -> None:
    """Every connection is by identity; the connection string of the log admits nobody by itself."""
    credentials = {name: value for name, value in settings.items() if name.endswith("__credential")}
    assert set(credentials.values()) == {"managedidentity"} and len(credentials) == 2
    secrets = re.compile(r"accountkey=|sharedaccess|sig=|password|secret", re.IGNORECASE)
    assert [name for name, value in settings.items() if secrets.search(f"{name}={value}")] == []
    (insights,) = deployed.of_type("Microsoft.Insights/components")
    assert insights.properties["DisableLocalAuth"] is True
