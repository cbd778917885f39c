"""The Bicep files: that they are Bicep, fit together, and say what the project promises of them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from tests.infra.bicep import (
    INFRA,
    BicepError,
    Deployed,
    declared_parameters,
    evaluate,
    files,
    parse,
    syntax_errors,
)
from tests.infra.shared_uses import ROOT

# What azd itself sets; everything else that a parameter is taken from is for people to set.
SET_BY_AZD = {"AZURE_ENV_NAME", "AZURE_LOCATION", "AZURE_PRINCIPAL_ID"}


@pytest.mark.parametrize("path", files(), ids=lambda path: path.name)
def test_each_file_parses(path: Path) -> None:
    """tree-sitter's grammar of Bicep finds no place in it that is not Bicep."""
    assert list(syntax_errors(parse(path))) == []


def test_what_is_not_bicep_is_told_with_its_line(tmp_path: Path) -> None:
    """A property with an equals sign, in a file that is good otherwise."""
    source, broken = (INFRA / "switch.bicep").read_text(), tmp_path / "broken.bicep"
    broken.write_text(source.replace("state: 'Enabled'", "state: = 'Enabled'"))
    line = source[: source.index("state:")].count("\n") + 1
    assert list(syntax_errors(parse(broken))) == [f"line {line}: '='"]


def test_every_file_is_used(parameters: dict[str, object]) -> None:
    """By main.bicep, or by the hook, which deploys one file of its own."""
    everything = evaluate("main.bicep", {**parameters, "vnetEnabled": True})
    used = {key.partition(".")[0] for key in everything.resources}
    assert used | {"blob-events"} == {path.stem for path in files()}


def test_wrong_parameters_are_refused(parameters: dict[str, object]) -> None:
    """The stand-in for the compiler tells a module's unknown and missing parameters."""
    with pytest.raises(BicepError, match="has no parameter flavour"):
        evaluate("main.bicep", {**parameters, "flavour": "vanilla"})
    with pytest.raises(BicepError, match="needs the parameter location"):
        evaluate("main.bicep", {key: value for key, value in parameters.items() if key != "location"})


def test_the_parameters_file_fits() -> None:
    """It gives what must be given, nothing unknown, and what people set is in docs/azure.md."""
    given = json.loads((INFRA / "main.parameters.json").read_text())["parameters"]
    declared = declared_parameters("main.bicep")
    assert {name for name, needed in declared.items() if needed} <= set(given) <= set(declared)
    named = set(re.findall(r"\$\{(\w+)", json.dumps(given)))
    assert named >= SET_BY_AZD
    guide = (ROOT / "docs" / "azure.md").read_text(encoding="utf-8")
    assert [name for name in named - SET_BY_AZD if f"`{name}`" not in guide] == []


def test_azure_openai_accounts_are_never_created_or_changed(deployed: Deployed) -> None:
    """They are referenced, each in its own resource group, and nothing is deployed on them."""
    ours = [each for each in deployed.resources.values() if "CognitiveServices" in each.type]
    assert [(each.type, each.existing, each.body) for each in ours] == [
        ("Microsoft.CognitiveServices/accounts", True, {"name": name}) for name in ("contoso", "fabrikam")
    ]


def test_storage_admits_nobody_by_key_and_nobody_anonymous(deployed: Deployed) -> None:
    """Keys off, TLS 1.2, https only, and no public container."""
    (account,) = deployed.of_type("Microsoft.Storage/storageAccounts")
    told = {
        "allowSharedKeyAccess": False,
        "allowBlobPublicAccess": False,
        "minimumTlsVersion": "TLS1_2",
        "supportsHttpsTrafficOnly": True,
    }
    assert told.items() <= account.properties.items()
    containers = deployed.of_type("Microsoft.Storage/storageAccounts/blobServices/containers")
    assert {each.properties["publicAccess"] for each in containers} == {"None"}


def test_the_site_is_given_what_flex_consumption_takes(deployed: Deployed) -> None:
    """Azure refuses a site of this plan for a property that it does not know there, such as ftpsState.

    Allowed is what Microsoft's own template passes: https://github.com/Azure-Samples/
    azure-functions-flex-consumption-samples, IaC/armtemplate/azuredeploy.json (read November 2026).
    """
    (app,) = deployed.of_type("Microsoft.Web/sites")
    assert set(app.properties["siteConfig"]) <= {"appSettings"}


def test_the_app_is_small_and_admits_no_password(deployed: Deployed) -> None:
    """Flex Consumption with Python 3.12; deployed by Entra sign-in; found by azd as its service."""
    (plan,) = deployed.of_type("Microsoft.Web/serverfarms")
    (app,) = deployed.of_type("Microsoft.Web/sites")
    hosted = app.properties["functionAppConfig"]
    assert plan.body["sku"] == {"tier": "FlexConsumption", "name": "FC1"}
    assert hosted["runtime"] == {"name": "python", "version": "3.12"}
    assert hosted["deployment"]["storage"]["authentication"]["type"] == "UserAssignedIdentity"
    assert app.properties["httpsOnly"] is True
    passwords = deployed.of_type("Microsoft.Web/sites/basicPublishingCredentialsPolicies")
    assert {each.body["name"]: each.properties for each in passwords} == {
        "scm": {"allow": False},
        "ftp": {"allow": False},
    }
    services = yaml.safe_load((ROOT / "azure.yaml").read_text())["services"]
    assert set(services) == {app.body["tags"]["azd-service-name"]}


@pytest.mark.parametrize(("given", "memory"), [({}, 512), ({"instanceMemoryMB": 2048}, 2048)])
def test_the_instances_have_the_memory_that_is_asked_for(
    parameters: dict[str, object], given: dict[str, object], memory: int
) -> None:
    """The smallest unless the parameter says otherwise: some regions do not offer it."""
    (app,) = evaluate("main.bicep", {**parameters, **given}).of_type("Microsoft.Web/sites")
    assert app.properties["functionAppConfig"]["scaleAndConcurrency"]["instanceMemoryMB"] == memory


@pytest.mark.parametrize("days", [90, 14])
def test_only_processed_documents_are_deleted_by_age(parameters: dict[str, object], days: int) -> None:
    """After so many days, and never what waits, failed, or is a result."""
    given = {} if days == 90 else {"processedRetentionDays": days}
    (policy,) = evaluate("main.bicep", {**parameters, **given}).of_type(
        "Microsoft.Storage/storageAccounts/managementPolicies"
    )
    (rule,) = policy.properties["policy"]["rules"]
    assert rule["definition"]["filters"]["prefixMatch"] == ["processed/"]
    assert rule["definition"]["actions"] == {
        "baseBlob": {"delete": {"daysAfterModificationGreaterThan": days}}
    }
