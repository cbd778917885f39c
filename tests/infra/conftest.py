"""The project's Bicep, evaluated once for an installation with two accounts in two resource groups."""

import pytest

from tests.infra.bicep import Deployed, evaluate

PROVIDER = "providers/Microsoft.CognitiveServices/accounts"
PARAMETERS = {
    "environmentName": "prod",
    "location": "westeurope",
    "openAiAccountId": f"/subscriptions/first/resourceGroups/models/{PROVIDER}/contoso",
    "moreOpenAiAccountIds": [f"/subscriptions/second/resourceGroups/others/{PROVIDER}/fabrikam"],
    "uploaderId": "the-uploader",
    "alertEmail": "ops@contoso.example",
}


@pytest.fixture(scope="session")
def parameters() -> dict[str, object]:
    """Return the parameters of the installation."""
    return dict(PARAMETERS)


@pytest.fixture(scope="session")
def deployed() -> Deployed:
    """Return what infra/main.bicep and its modules declare for it."""
    return evaluate("main.bicep", PARAMETERS)
