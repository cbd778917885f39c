"""The Bicep files parse, fit together, and declare what the project promises."""

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

# Variables that azd sets; people set all others that parameters are read from.
SET_BY_AZD = {"AZURE_ENV_NAME", "AZURE_LOCATION", "AZURE_PRINCIPAL_ID"}


@pytest.mark.parametrize("path", files(), ids=lambda path: path.name)
def test_each_file_parses(path: Path) -> None:
    """tree-sitter's Bicep grammar finds no syntax error."""
    assert list(syntax_errors(parse(path))) == []


def test_a_syntax_error_is_reported_with_its_line(tmp_path: Path) -> None:
    """An equals sign after a property is reported, in an otherwise valid file."""
    source, broken = (INFRA / "switch.bicep").read_text(), tmp_path / "broken.bicep"
    broken.write_text(source.replace("state: 'Enabled'", "state: = 'Enabled'"))
    line = source[: source.index("state:")].count("\n") + 1
    assert list(syntax_errors(parse(broken))) == [f"line {line}: '='"]


def test_every_file_is_used(parameters: dict[str, object]) -> None:
    """Every file is used by main.bicep or by the hook, which deploys its own file."""
    everything = evaluate("main.bicep", {**parameters, "vnetEnabled": True, "eventTopic": True})
    used = {key.partition(".")[0] for key in everything.resources}
    assert used | {"blob-events"} == {path.stem for path in files()}


def test_wrong_parameters_are_refused(parameters: dict[str, object]) -> None:
    """The evaluation reports unknown and missing parameters of a file."""
    with pytest.raises(BicepError, match="has no parameter flavour"):
        evaluate("main.bicep", {**parameters, "flavour": "vanilla"})
    with pytest.raises(BicepError, match="needs the parameter location"):
        evaluate("main.bicep", {key: value for key, value in parameters.items() if key != "location"})


def test_the_parameters_file_fits() -> None:
    """It gives every required parameter and no unknown one; docs/azure.md lists what people set."""
    given = json.loads((INFRA / "main.parameters.json").read_text())["parameters"]
    declared = declared_parameters("main.bicep")
    assert {name for name, required in declared.items() if required} <= set(given) <= set(declared)
    named = set(re.findall(r"\$\{(\w+)", json.dumps(given)))
    assert named >= SET_BY_AZD
    guide = (ROOT / "docs" / "azure.md").read_text(encoding="utf-8")
    assert [name for name in named - SET_BY_AZD if f"`{name}`" not in guide] == []


def test_the_guide_names_every_allowed_value() -> None:
    """The row of a parameter in docs/azure.md has each value that main.bicep allows, and no other SKU."""
    source = (INFRA / "main.bicep").read_text(encoding="utf-8")
    allowed = {name: values for values, name in re.findall(r"@allowed\(\[(.*?)\]\)\nparam (\w+)", source)}
    assert {"storageSku", "instanceMemoryMB"} <= set(allowed)
    guide = (ROOT / "docs" / "azure.md").read_text(encoding="utf-8")
    rows = {name: re.findall(rf"^\| `{name}` .*$", guide, re.MULTILINE) for name in allowed}
    for name, values in allowed.items():
        (row,) = rows[name]
        assert [value for value in re.findall(r"\w+", values) if value not in row] == []
    assert set(re.findall(r"Standard_\w+", rows["storageSku"][0])) == set(
        re.findall(r"Standard_\w+", allowed["storageSku"])
    )


def test_azure_openai_accounts_are_never_created_or_changed(deployed: Deployed) -> None:
    """They are only referenced, each in its own resource group; nothing is deployed on them."""
    accounts = [resource for resource in deployed.resources.values() if "CognitiveServices" in resource.type]
    assert [(account.type, account.existing, account.body) for account in accounts] == [
        ("Microsoft.CognitiveServices/accounts", True, {"name": name}) for name in ("contoso", "fabrikam")
    ]


def test_storage_allows_no_keys_and_no_anonymous_access(deployed: Deployed) -> None:
    """Keys are off, TLS 1.2 and https are required, and no container is public."""
    (account,) = deployed.of_type("Microsoft.Storage/storageAccounts")
    expected = {
        "allowSharedKeyAccess": False,
        "allowBlobPublicAccess": False,
        "minimumTlsVersion": "TLS1_2",
        "supportsHttpsTrafficOnly": True,
    }
    assert expected.items() <= account.properties.items()
    containers = deployed.of_type("Microsoft.Storage/storageAccounts/blobServices/containers")
    assert {container.properties["publicAccess"] for container in containers} == {"None"}


def test_the_site_has_only_properties_that_flex_consumption_accepts(deployed: Deployed) -> None:
    """Azure refuses a site of this plan with an unsupported property, such as ftpsState.

    Allowed is what Microsoft's own template sets: https://github.com/Azure-Samples/
    azure-functions-flex-consumption-samples, IaC/armtemplate/azuredeploy.json (read November 2026).
    """
    (app,) = deployed.of_type("Microsoft.Web/sites")
    assert set(app.properties["siteConfig"]) <= {"appSettings"}


def test_the_app_is_small_and_allows_no_password(deployed: Deployed) -> None:
    """It runs Python 3.12 on Flex Consumption, is deployed by Entra sign-in, and is azd's service."""
    (plan,) = deployed.of_type("Microsoft.Web/serverfarms")
    (app,) = deployed.of_type("Microsoft.Web/sites")
    hosted = app.properties["functionAppConfig"]
    assert plan.body["sku"] == {"tier": "FlexConsumption", "name": "FC1"}
    assert hosted["runtime"] == {"name": "python", "version": "3.12"}
    assert hosted["deployment"]["storage"]["authentication"]["type"] == "UserAssignedIdentity"
    assert app.properties["httpsOnly"] is True
    passwords = deployed.of_type("Microsoft.Web/sites/basicPublishingCredentialsPolicies")
    assert {policy.body["name"]: policy.properties for policy in passwords} == {
        "scm": {"allow": False},
        "ftp": {"allow": False},
    }
    services = yaml.safe_load((ROOT / "azure.yaml").read_text())["services"]
    assert set(services) == {app.body["tags"]["azd-service-name"]}


@pytest.mark.parametrize(("given", "memory"), [({}, 512), ({"instanceMemoryMB": 2048}, 2048)])
def test_the_instances_have_the_configured_memory(
    parameters: dict[str, object], given: dict[str, object], memory: int
) -> None:
    """The default is the smallest size; a parameter changes it, because some regions do not offer it."""
    (app,) = evaluate("main.bicep", {**parameters, **given}).of_type("Microsoft.Web/sites")
    assert app.properties["functionAppConfig"]["scaleAndConcurrency"]["instanceMemoryMB"] == memory


@pytest.mark.parametrize("days", [90, 14])
def test_only_what_is_done_is_deleted_by_age(parameters: dict[str, object], days: int) -> None:
    """Processed documents and leftovers of a crash; waiting and failed documents and results never."""
    given = {} if days == 90 else {"processedRetentionDays": days}
    (policy,) = evaluate("main.bicep", {**parameters, **given}).of_type(
        "Microsoft.Storage/storageAccounts/managementPolicies"
    )
    deleted = {
        tuple(rule["definition"]["filters"]["prefixMatch"]): rule["definition"]["actions"]
        for rule in policy.properties["policy"]["rules"]
    }
    assert deleted == {
        ("processed/",): {"baseBlob": {"delete": {"daysAfterModificationGreaterThan": days}}},
        ("checkpoints/", "staging/"): {"baseBlob": {"delete": {"daysAfterModificationGreaterThan": 30}}},
    }
    types = [rule["definition"]["filters"]["blobTypes"] for rule in policy.properties["policy"]["rules"]]
    assert types == [["blockBlob"], ["blockBlob", "appendBlob"]]  # answers to records are appended
