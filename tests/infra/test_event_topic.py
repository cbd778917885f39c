"""The topic for the app's events, and app settings from a Key Vault: only if a parameter asks for them."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.model import ReceiverKind
from shared.settings.load import load
from tests.infra.bicep import Deployed, evaluate
from tests.infra.test_rights import APP, granted
from tests.unit.settings_file import CLAUSES, ENVIRONMENT, changed

TOPIC = "Microsoft.EventGrid/topics"
SECRET = "https://vault.vault.azure.net/secrets/hook"


@pytest.fixture(scope="module")
def asked_for(parameters: dict[str, object]) -> Deployed:
    """Return what is declared with a topic and a secret."""
    return evaluate("main.bicep", {**parameters, "eventTopic": True, "keyVaultSecrets": {"HOOK_KEY": SECRET}})


def settings(deployed: Deployed) -> dict[str, str]:
    """Return the app settings."""
    (app,) = deployed.of_type("Microsoft.Web/sites")
    return {each["name"]: each["value"] for each in app.properties["siteConfig"]["appSettings"]}


def test_there_is_none_by_default(deployed: Deployed) -> None:
    """Neither a topic nor an identity that reads secrets."""
    assert deployed.of_type(TOPIC) == []
    assert deployed.outputs["LAMPLIGHTER_EVENT_TOPIC"] == ""
    (app,) = deployed.of_type("Microsoft.Web/sites")
    assert app.properties["keyVaultReferenceIdentity"] is None


def test_the_topic_takes_cloud_events_by_identity_only(asked_for: Deployed) -> None:
    """No key opens it, and its name is one that Azure takes."""
    (topic,) = asked_for.of_type(TOPIC)
    assert topic.properties == {
        "inputSchema": "CloudEventSchemaV1_0",
        "disableLocalAuth": True,
        "minimumTlsVersionAllowed": "1.2",
    }
    assert 3 <= len(topic.body["name"]) <= 50
    assert asked_for.outputs["LAMPLIGHTER_EVENT_TOPIC"] == "events.topic.name"


def test_the_app_may_send_to_this_topic_and_gets_no_other_right(
    asked_for: Deployed, deployed: Deployed
) -> None:
    """Beside those that it has without one."""
    (topic,) = asked_for.of_type(TOPIC)
    more = granted(asked_for, APP) - granted(deployed, APP)
    assert more == {("EventGrid Data Sender", TOPIC, topic.body["name"]): 1}


def test_the_settings_name_the_topic_and_the_secret(
    asked_for: Deployed, deployed: Deployed, tmp_path: Path
) -> None:
    """The secret itself is in no parameter; a file that names both settings can be used."""
    more = {name: value for name, value in settings(asked_for).items() if name not in settings(deployed)}
    assert more == {
        "EVENT_TOPIC_ENDPOINT": "events.topic.properties.endpoint",
        "HOOK_KEY": f"@Microsoft.KeyVault(SecretUri={SECRET})",
    }
    (app,) = asked_for.of_type("Microsoft.Web/sites")
    assert app.properties["keyVaultReferenceIdentity"] == "identity.app.id"
    topic = {"event_grid": "${EVENT_TOPIC_ENDPOINT}"}
    hook = {"webhook": "https://hook.example", "secret": "${HOOK_KEY}"}
    (tmp_path / "prompt.md").write_text("Summarise.")
    (tmp_path / "deployments.yaml").write_text(changed({f"{CLAUSES}.notify": [topic, hook]}))
    # What Azure puts in their place.
    put_in = {
        "EVENT_TOPIC_ENDPOINT": "https://evgt-x.westeurope-1.eventgrid.azure.net/api/events",
        "HOOK_KEY": "c2Vj" * 8,
    }
    (clauses,) = load(tmp_path / "deployments.yaml", ENVIRONMENT | put_in).deployments.values()
    assert [each.kind for each in clauses.notify] == [ReceiverKind.EVENT_GRID, ReceiverKind.WEBHOOK]
