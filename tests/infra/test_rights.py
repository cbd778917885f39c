"""Rights: what is granted to whom, held against what the app's source and the switch's definition call."""

from __future__ import annotations

from collections import Counter
from typing import Any

from tests.infra import shared_uses
from tests.infra.bicep import INFRA, Deployed, Resource, evaluate
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
}
# The right that each operation of the management SDK takes.
ACTIONS = {
    "accounts.get": f"{PREFIX}/read",
    "deployments.list": f"{PREFIX}/deployments/read",
    "deployments.get": f"{PREFIX}/deployments/read",
    "deployments.begin_create_or_update": f"{PREFIX}/deployments/write",
    "deployments.begin_delete": f"{PREFIX}/deployments/delete",
}
# What works without: the first comes with OpenAI User's `*/read`, the others are rights on the subscription,
# which a person who runs `doctor` usually has and the app is not given. Who wants keep_if_scarce grants the
# last one (docs/azure.md).
OPTIONAL = {"accounts.list_models", "usages.list", "model_capacities.list"}
# The role that each service takes, by the setting that names its address. The host documents Blob Data Owner
# for its own storage, and brings events to the blob trigger through a queue.
ROLES = {
    "__blobServiceUri": "Storage Blob Data Owner",
    "__queueServiceUri": "Storage Queue Data Contributor",
    "__tableServiceUri": "Storage Table Data Contributor",
    "APPLICATIONINSIGHTS_AUTHENTICATION_STRING": "Monitoring Metrics Publisher",
}


def granted(deployed: Deployed, principal: str) -> Counter[tuple[str, str, str]]:
    """A principal's assignments: the role, the type of what it is on, and that thing's name."""
    found: Counter[tuple[str, str, str]] = Counter()
    for each in deployed.of_type("Microsoft.Authorization/roleAssignments"):
        if each.properties["principalId"] == principal:
            scope = scope_of(deployed, each)
            found[role_of(each), scope.type, scope.body["name"]] += 1
    return found


def scope_of(deployed: Deployed, assignment: Resource) -> Resource:
    """What an assignment is on; in a module of a loop, what the same round of the loop means by it."""
    scope = assignment.body["scope"]
    return (
        deployed.resources.get(scope)
        or deployed.resources[scope + assignment.key[assignment.key.index("[") :]]
    )


def role_of(assignment: Resource) -> str:
    """A built-in role's name, or the key of a custom one."""
    role = str(assignment.properties["roleDefinitionId"])
    return BUILT_IN.get(role.rpartition("/")[2], role)


def custom_role(deployed: Deployed, key: str) -> list[dict[str, Any]]:
    """The permissions of a custom role, which must be the same on every account."""
    roles = [each for each in deployed.resources.values() if each.key.partition("[")[0] == key]
    assert len(roles) == 2 and roles[0].properties["permissions"] == roles[1].properties["permissions"]
    found: list[dict[str, Any]] = roles[0].properties["permissions"]
    return found


def test_the_app_gets_what_it_needs_and_no_more(deployed: Deployed) -> None:
    """On its storage and log what its settings lead to; on each account one custom role, and inference."""
    (app,) = deployed.of_type("Microsoft.Web/sites")
    names = [each["name"] for each in app.properties["siteConfig"]["appSettings"]]
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
    """Each call of the adapter takes a right, and the role has these and no data rights."""
    called = shared_uses.arm_operations() - OPTIONAL
    assert called - set(ACTIONS) == set(), "a new call of Azure Resource Manager: which right does it take?"
    (permission,) = custom_role(deployed, "account-access.hostingRole")
    assert set(permission) == {"actions"}
    assert sorted(permission["actions"]) == sorted({ACTIONS[each] for each in called})


def test_the_switch_may_look_and_delete_and_no_more(deployed: Deployed) -> None:
    """Its custom role is what the requests of its definition take, on each account and nowhere else."""
    verbs = {"GET": "read", "DELETE": "delete"}
    methods = {each["inputs"]["method"] for each in actions_of_type(definition(), "Http")}
    (permission,) = custom_role(deployed, "account-access.switchRole")
    assert set(permission) == {"actions"}
    assert set(permission["actions"]) == {f"{PREFIX}/deployments/{verbs[method]}" for method in methods}
    assert granted(deployed, SWITCH) == {
        ("account-access.switchRole.id", PREFIX, account): 1 for account in ("contoso", "fabrikam")
    }


def test_custom_roles_can_be_assigned_where_they_are_needed_only(deployed: Deployed) -> None:
    """Not in the whole subscription: in the resource group of the account."""
    roles = deployed.of_type("Microsoft.Authorization/roleDefinitions")
    assert {tuple(each.properties["assignableScopes"]) for each in roles} == {("resourceGroup().id",)}
    source = (INFRA / "main.bicep").read_text()
    assert "scope: resourceGroup(split(id, '/')[2], split(id, '/')[4])" in source


def test_two_accounts_of_one_name_get_roles_of_two_names(parameters: dict[str, object]) -> None:
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


def test_the_uploader_reaches_the_inbox_and_what_became_of_it(deployed: Deployed) -> None:
    """Neither records nor leases nor the package, and no account."""
    kind = "Microsoft.Storage/storageAccounts/blobServices/containers"
    assert granted(deployed, UPLOADER) == {
        ("Storage Blob Data Contributor", kind, "inbox"): 1,
        ("Storage Blob Data Reader", kind, "results"): 1,
        ("Storage Blob Data Reader", kind, "failed"): 1,
    }


def test_nobody_else_gets_anything(deployed: Deployed) -> None:
    """Every assignment is to one of these three."""
    assignments = deployed.of_type("Microsoft.Authorization/roleAssignments")
    assert {each.properties["principalId"] for each in assignments} == {APP, SWITCH, UPLOADER}


def test_without_an_uploader_nobody_may_upload(parameters: dict[str, object]) -> None:
    """The right is granted to whom the parameter names, and to nobody by default."""
    nobody = evaluate("main.bicep", {**parameters, "uploaderId": ""})
    assert {
        each.properties["principalId"] for each in nobody.of_type("Microsoft.Authorization/roleAssignments")
    } == {APP, SWITCH}
