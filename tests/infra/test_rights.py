"""Granted rights match what the app's source and the switch's definition call."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from shared.reports.doctor.storage import CONTAINERS
from tests.infra import shared_uses
from tests.infra.bicep import INFRA, Deployed, Resource, evaluate
from tests.infra.shared_uses import ROOT
from tests.infra.workflow import actions_of_type, definition

APP, SWITCH, UPLOADER = (
    "identity.app.properties.principalId",
    "switch.switch.identity.principalId",
    "the-uploader",
)
PREFIX = "Microsoft.CognitiveServices/accounts"

# https://learn.microsoft.com/azure/role-based-access-control/built-in-roles
BUILT_IN = {
    "b7e6dc6d-f1e8-4753-8033-0f276bb0955b": "Storage Blob Data Owner",
    "ba92f5b4-2d11-453d-a403-e96b0029c9fe": "Storage Blob Data Contributor",
    "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1": "Storage Blob Data Reader",
    "974c5e8b-45b9-4653-ba55-5f855dd0fb88": "Storage Queue Data Contributor",
    "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3": "Storage Table Data Contributor",
    "3913510d-42f4-4e42-8a64-420c390055eb": "Monitoring Metrics Publisher",
    "5e0bd9bd-7b93-4f28-af87-19fc36ad61bd": "Cognitive Services OpenAI User",
    "d5a91429-5739-47e2-a06b-3470a27159e7": "EventGrid Data Sender",
}
# The right that each operation of the management SDK needs.
ACTIONS = {
    "accounts.get": f"{PREFIX}/read",
    "deployments.list": f"{PREFIX}/deployments/read",
    "deployments.get": f"{PREFIX}/deployments/read",
    "deployments.begin_create_or_update": f"{PREFIX}/deployments/write",
    "deployments.begin_delete": f"{PREFIX}/deployments/delete",
}
# Operations that need no right of the custom role. The first comes with OpenAI User's `*/read`. The others
# need rights on the subscription: a person who runs `doctor` usually has them, the app does not. For
# keep_if_scarce an administrator grants the last one (docs/azure.md).
OPTIONAL = {"accounts.list_models", "usages.list", "model_capacities.list"}
# The role that each service needs, by the setting that names its address. The host's documentation requires
# Blob Data Owner for its own storage, and the host passes events to the blob trigger through a queue.
ROLES = {
    "__blobServiceUri": "Storage Blob Data Owner",
    "__queueServiceUri": "Storage Queue Data Contributor",
    "__tableServiceUri": "Storage Table Data Contributor",
    "APPLICATIONINSIGHTS_AUTHENTICATION_STRING": "Monitoring Metrics Publisher",
}


def granted(deployed: Deployed, principal: str) -> Counter[tuple[str, str, str]]:
    """Count a principal's assignments by role, and by type and name of the resource they are on."""
    found: Counter[tuple[str, str, str]] = Counter()
    for assignment in deployed.of_type("Microsoft.Authorization/roleAssignments"):
        if assignment.properties["principalId"] == principal:
            scope = scope_of(deployed, assignment)
            found[role_of(assignment), scope.type, scope.body["name"]] += 1
    return found


def scope_of(deployed: Deployed, assignment: Resource) -> Resource:
    """Return the resource that an assignment is on; in a loop, the one of the same iteration."""
    scope = assignment.body["scope"]
    return (
        deployed.resources.get(scope)
        or deployed.resources[scope + assignment.key[assignment.key.index("[") :]]
    )


def role_of(assignment: Resource) -> str:
    """Return a built-in role's name, or the key of a custom one."""
    role = str(assignment.properties["roleDefinitionId"])
    return BUILT_IN.get(role.rpartition("/")[2], role)


def custom_role(deployed: Deployed, key: str) -> list[dict[str, Any]]:
    """Return the permissions of a custom role, and check that they are equal on every account."""
    roles = [role for role in deployed.resources.values() if role.key.partition("[")[0] == key]
    assert len(roles) == 2 and roles[0].properties["permissions"] == roles[1].properties["permissions"]
    found: list[dict[str, Any]] = roles[0].properties["permissions"]
    return found


def test_the_app_gets_what_it_needs_and_no_more(deployed: Deployed) -> None:
    """It has the roles that its settings need on storage and log, and two roles on each account."""
    (app,) = deployed.of_type("Microsoft.Web/sites")
    names = [setting["name"] for setting in app.properties["siteConfig"]["appSettings"]]
    needed = {role for end, role in ROLES.items() if any(name.endswith(end) for name in names)}
    rights = granted(deployed, APP)
    assert {role for role, kind, _ in rights if "CognitiveServices" not in kind} == needed
    assert {kind for _, kind, _ in rights} == {
        "Microsoft.Storage/storageAccounts",
        "Microsoft.Insights/components",
        PREFIX,
    }
    assert {(role, name) for role, kind, name in rights if kind == PREFIX} == {
        (role, account)
        for role in ("account-access.hostingRole.id", "Cognitive Services OpenAI User")
        for account in ("contoso", "fabrikam")
    }
    assert set(rights.values()) == {1}


def test_the_hosting_role_is_what_the_adapter_calls(deployed: Deployed) -> None:
    """The role has the right for each call of the adapter, and no data rights."""
    called = shared_uses.arm_operations() - OPTIONAL
    assert called - set(ACTIONS) == set(), "a new call of Azure Resource Manager: which right does it need?"
    (permission,) = custom_role(deployed, "account-access.hostingRole")
    assert set(permission) == {"actions"}
    assert sorted(permission["actions"]) == sorted({ACTIONS[each] for each in called})


def test_the_switch_may_only_read_and_delete(deployed: Deployed) -> None:
    """Its custom role has the rights for the requests of its definition, only on the accounts."""
    verbs = {"GET": "read", "DELETE": "delete"}
    methods = {each["inputs"]["method"] for each in actions_of_type(definition(), "Http")}
    (permission,) = custom_role(deployed, "account-access.switchRole")
    assert set(permission) == {"actions"}
    assert set(permission["actions"]) == {f"{PREFIX}/deployments/{verbs[method]}" for method in methods}
    assert granted(deployed, SWITCH) == {
        ("account-access.switchRole.id", PREFIX, account): 1 for account in ("contoso", "fabrikam")
    }


def test_custom_roles_are_assignable_only_where_needed(deployed: Deployed) -> None:
    """They are assignable in the account's resource group, not in the whole subscription."""
    roles = deployed.of_type("Microsoft.Authorization/roleDefinitions")
    assert {tuple(each.properties["assignableScopes"]) for each in roles} == {("resourceGroup().id",)}
    source = (INFRA / "main.bicep").read_text()
    assert "scope: resourceGroup(split(id, '/')[2], split(id, '/')[4])" in source


def test_two_accounts_with_the_same_name_get_different_roles(parameters: dict[str, object]) -> None:
    """A role's name must be unique in the tenant, and a nested deployment's in its resource group."""
    longest = "c" * 64
    ids = [
        f"/subscriptions/first/resourceGroups/{group}/providers/{PREFIX}/{longest}"
        for group in ("here", "there")
    ]
    given = {**parameters, "openAiAccountId": ids[0], "moreOpenAiAccountIds": ids[1:]}
    twice = evaluate("main.bicep", given)
    names = [each.properties["roleName"] for each in twice.of_type("Microsoft.Authorization/roleDefinitions")]
    assert len(set(names)) == len(names) == 4
    assert max(map(len, names)) <= 128
    elsewhere = evaluate("main.bicep", {**given, "environmentName": "test"})
    modules = [each.modules["account-access.bicep"] for each in (twice, elsewhere)]
    assert [len(set(each)) for each in modules] == [2, 2]
    assert not set(modules[0]) & set(modules[1])


def test_the_uploader_may_write_the_inbox_and_read_results(deployed: Deployed) -> None:
    """The uploader has no right on records, leases, the package or an account."""
    kind = "Microsoft.Storage/storageAccounts/blobServices/containers"
    assert granted(deployed, UPLOADER) == {
        ("Storage Blob Data Contributor", kind, "inbox"): 1,
        ("Storage Blob Data Reader", kind, "results"): 1,
        ("Storage Blob Data Reader", kind, "failed"): 1,
    }


def test_no_other_principal_has_rights(deployed: Deployed) -> None:
    """Every assignment is to the app, the switch or the uploader."""
    assignments = deployed.of_type("Microsoft.Authorization/roleAssignments")
    assert {each.properties["principalId"] for each in assignments} == {APP, SWITCH, UPLOADER}


def test_without_an_uploader_no_upload_right_is_granted(parameters: dict[str, object]) -> None:
    """The right is granted only to the principal that the parameter names."""
    without = evaluate("main.bicep", {**parameters, "uploaderId": ""})
    assert {
        each.properties["principalId"] for each in without.of_type("Microsoft.Authorization/roleAssignments")
    } == {APP, SWITCH}


def test_an_operator_gets_what_the_commands_use_and_no_code() -> None:
    """The docs grant an operator each container that `doctor` checks, and the app's other roles."""
    page = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    (operator,) = re.findall(r"\*\*An operator\*\*.*?```\n(.*?)```", page, re.DOTALL)
    (containers,) = re.findall(r"for container in (.+); do", operator)
    assert set(containers.split()) == set(CONTAINERS)
    (accounts,) = re.findall(r"for role in (.+); do", operator)
    given = set(re.findall(r'--role "([^"$]+)"', operator)) | set(re.findall(r'"(\w[^"]+)"', accounts))
    assert given == {
        "Storage Blob Data Contributor",
        "Storage Table Data Contributor",
        "Cognitive Services OpenAI User",
    }
    source = (INFRA / "account-access.bicep").read_text(encoding="utf-8")
    (start,) = re.findall(r"starts_with\(roleName, '([^']+)'\)", operator)
    assert f"roleName: '{start} (" in source


def test_no_page_grants_people_blobs_on_the_whole_account() -> None:
    """There it would include the code that runs next: each command in the docs names a container."""
    commands = 0
    for page in sorted((ROOT / "docs").glob("*.md")):
        for command in re.findall(
            r"az role assignment create(?:[^\n]*\\\n)*[^\n]*", page.read_text(encoding="utf-8")
        ):
            if "Storage Blob" in command:
                commands += 1
                assert "/blobServices/default/containers/" in command, (page.name, command)
    assert commands >= 5
