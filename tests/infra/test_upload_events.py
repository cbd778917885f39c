"""Delivery of upload events to the app: the topic, the subscription, and the hook that creates it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.infra.bicep import INFRA, Deployed, declared_parameters, evaluate
from tests.infra.shared_uses import ROOT

HOOKS = {name: INFRA / "hooks" / f"postdeploy.{name}" for name in ("sh", "ps1")}
SET_BY_AZD = {"AZURE_SUBSCRIPTION_ID"}


def test_the_topic_belongs_to_the_upload_storage(deployed: Deployed) -> None:
    """There is one system topic, for the one storage account."""
    (topic,) = deployed.of_type("Microsoft.EventGrid/systemTopics")
    assert topic.properties == {
        "source": "storage.account.id",
        "topicType": "Microsoft.Storage.StorageAccounts",
    }


def test_the_subscription_delivers_to_the_blob_trigger() -> None:
    """It has the trigger's function and container, only creations, and the blob extension's key."""
    source = (ROOT / "function_app.py").read_text(encoding="utf-8")
    (path, function) = re.findall(
        r"blob_trigger\(.*?path=\"(\w+)/\{name\}\".*?async def (\w+)\(", source, flags=re.DOTALL
    )[0]
    uploads = evaluate("blob-events.bicep", {"appName": "app", "topicName": "topic"})
    (subscription,) = uploads.of_type("Microsoft.EventGrid/systemTopics/eventSubscriptions")
    assert subscription.properties["filter"] == {
        "includedEventTypes": ["Microsoft.Storage.BlobCreated"],
        "subjectBeginsWith": f"/blobServices/default/containers/{path}/blobs/",
    }
    destination = subscription.properties["destination"]
    assert destination["endpointType"] == "WebHook"
    assert destination["properties"]["endpointUrl"] == (
        "https://blob-events.app.properties.defaultHostName/runtime/webhooks/blobs"
        f"?functionName=Host.Functions.{function}"
        "&code=listKeys(blob-events.app.id/host/default).systemKeys.blobs_extension"
    )


def test_azd_runs_the_hooks_after_each_deployment() -> None:
    """azure.yaml names one hook for POSIX and one for Windows."""
    hook = yaml.safe_load((ROOT / "azure.yaml").read_text())["hooks"]["postdeploy"]
    assert {system: (script["shell"], ROOT / script["run"]) for system, script in hook.items()} == {
        "posix": ("sh", HOOKS["sh"]),
        "windows": ("pwsh", HOOKS["ps1"]),
    }


@pytest.mark.parametrize("name", HOOKS)
def test_the_hooks_use_outputs_of_main_bicep(deployed: Deployed, name: str) -> None:
    """Each hook reads only azd's variables or main.bicep's outputs, and gives all parameters."""
    text = HOOKS[name].read_text()
    read = set(re.findall(r"(?:AZURE|LAMPLIGHTER)_[A-Z_]+", text))
    assert read - SET_BY_AZD <= set(deployed.outputs)
    given = set(re.findall(r"\"(\w+)=\$", text))
    assert given == set(declared_parameters("blob-events.bicep"))
    assert "blob-events.bicep" in text


@dataclass
class Hook:
    """The sh hook, with an Azure CLI that only records its calls and a sleep that does not wait."""

    folder: Path

    def run(self, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the hook as azd does, from the project's folder."""
        path = f"{self.folder}{os.pathsep}/usr/bin{os.pathsep}/bin"
        command = [shutil.which("sh") or "sh", str(HOOKS["sh"])]
        return subprocess.run(
            command, cwd=ROOT, env={"PATH": path, **environment}, capture_output=True, text=True, timeout=60
        )

    def put(self, name: str, script: str) -> None:
        """Add a command that runs a shell script."""
        (self.folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (self.folder / name).chmod(0o755)

    def calls(self) -> list[str]:
        """Return the calls of the Azure CLI and of sleep."""
        return (self.folder / "calls").read_text().splitlines()


@pytest.fixture
def hook(tmp_path: Path) -> Hook:
    if sys.platform == "win32":
        pytest.skip("the hook for sh")
    made = Hook(tmp_path)
    made.put("sleep", f'echo "sleep $*" >> {tmp_path}/calls')
    return made


GIVEN = {
    "AZURE_SUBSCRIPTION_ID": "sub",
    "AZURE_RESOURCE_GROUP": "rg-prod",
    "LAMPLIGHTER_APP": "func-abc",
    "LAMPLIGHTER_TOPIC": "evgt-abc",
}


def test_the_hook_retries_until_the_key_exists(hook: Hook) -> None:
    """If the app's key appears at the third attempt, the hook waits twice and succeeds."""
    calls = hook.folder / "calls"
    hook.put(
        "az", f'echo "az $*" >> {calls}\n[ "$1" = account ] || [ $(grep -c "group create" {calls}) -ge 3 ]'
    )
    done = hook.run(**GIVEN)
    assert done.returncode == 0, done.stderr
    assert [call.split()[0] for call in hook.calls()] == ["az", "az", "sleep", "az", "sleep", "az"]
    asked = hook.calls()[-1]
    for part in (
        "deployment group create",
        "--subscription sub --resource-group rg-prod",
        "blob-events.bicep --parameters appName=func-abc topicName=evgt-abc",
    ):
        assert part in asked
    template = re.search(r"--template-file (\S+)", asked)
    assert template is not None and Path(template[1]).resolve() == INFRA / "blob-events.bicep"
    assert "receives upload events" in done.stdout


def test_the_hook_fails_with_the_cause_if_the_key_never_exists(hook: Hook) -> None:
    """After ten attempts it prints Azure's message, its meaning, and how to repeat the hook."""
    hook.put(
        "az",
        f'echo "az $*" >> {hook.folder}/calls\n[ "$1" = account ] || {{ echo "no such key" >&2; exit 1; }}',
    )
    done = hook.run(**GIVEN)
    assert done.returncode == 1
    assert sum("group create" in call for call in hook.calls()) == 10
    assert "no such key" in done.stderr and "azd hooks run postdeploy" in done.stderr


def test_the_hook_says_what_is_missing(hook: Hook) -> None:
    """Outside azd, or without a sign-in, the hook fails at once and says so."""
    hook.put("az", "exit 1")
    outside = hook.run(**{**GIVEN, "LAMPLIGHTER_TOPIC": ""})
    assert outside.returncode == 2 and "LAMPLIGHTER_TOPIC" in outside.stderr
    signed_out = hook.run(**GIVEN)
    assert signed_out.returncode == 2 and "az login" in signed_out.stderr
