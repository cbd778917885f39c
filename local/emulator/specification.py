"""What a PUT of a deployment asks for, and what Azure knows of models and SKUs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

DEVELOPER_TIER = "DeveloperTier"
REGION = "swedencentral"
SKUS = (DEVELOPER_TIER, "GlobalStandard", "ProvisionedManaged", "Standard")
"""What the region offers for every model; DataZoneStandard exists in the USA only."""
REGIONAL_CAPACITY = 100_000
"""What is left in the region for each model and SKU, in thousands of tokens per minute."""
_NAME_LENGTH = 64


class ArmError(Exception):
    """A refusal of Azure Resource Manager: HTTP status, error code, message."""

    def __init__(
        self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = dict(headers or {})


@dataclass(frozen=True)
class Specification:
    """The body of a PUT, kept as it was sent: `properties` includes what the emulator does not know."""

    sku: Mapping[str, Any]
    tags: Mapping[str, str]
    properties: Mapping[str, Any]

    @property
    def sku_name(self) -> str:
        return str(self.sku["name"])

    @property
    def capacity(self) -> int:
        """Thousands of tokens per minute."""
        return int(self.sku["capacity"])

    @property
    def model_name(self) -> str:
        return str(self.properties["model"]["name"])

    @property
    def model_version(self) -> str:
        return str(self.properties["model"].get("version", ""))

    @property
    def fine_tuned(self) -> bool:
        return ".ft-" in self.model_name or self.model_name.startswith("ftchkpt-")

    @property
    def tokens_per_minute(self) -> int:
        return self.capacity * 1000

    @property
    def requests_per_minute(self) -> int:
        """Azure's requests per 1,000 tokens per minute: 1 for gpt-4.1, 10 for gpt-5, 6 for older models."""
        if self.model_name.startswith("gpt-4.1"):
            return self.capacity
        return self.capacity * (10 if self.model_name.startswith("gpt-5") else 6)

    @property
    def has_hosting_fee(self) -> bool:
        """Azure charges by the hour for fine-tuned models only, and not on the developer tier."""
        return self.fine_tuned and self.sku_name != DEVELOPER_TIER


def parse(deployment: str, body: object) -> Specification:
    """Read the body of a PUT; raises ArmError as Azure refuses it."""
    if len(deployment) > _NAME_LENGTH:
        raise ArmError(
            400,
            "InvalidResourceName",
            f"The deployment name has {len(deployment)} characters; at most {_NAME_LENGTH} are allowed.",
        )
    fields = _mapping(body, "the body")
    sku = _mapping(fields.get("sku"), "sku")
    tags = _mapping(fields.get("tags") or {}, "tags")
    properties = _mapping(fields.get("properties"), "properties")
    model = _mapping(properties.get("model"), "properties.model")
    capacity = sku.get("capacity", 1)
    if not isinstance(capacity, int) or isinstance(capacity, bool) or capacity < 1:
        raise ArmError(400, "InvalidResourceProperties", "The SKU capacity must be a whole number above 0.")
    if not all(isinstance(value, str) for value in tags.values()):
        raise ArmError(400, "InvalidRequestContent", "The values of tags must be strings.")
    if model.get("format") != "OpenAI":
        # Azure answers a wrong model format with a 500 that says nothing.
        raise ArmError(500, "InternalServerError", "")
    _check_model(model)
    if sku.get("name") not in SKUS:
        raise ArmError(
            400,
            "InvalidResourceProperties",
            f"The specified SKU '{sku.get('name')}' for model '{model['name']} {model.get('version', '')}' "
            f"is not supported in this region '{REGION}'.",
        )
    return Specification({**sku, "capacity": capacity}, dict(tags), dict(properties))


def _check_model(model: Mapping[str, Any]) -> None:
    name = model.get("name")
    if isinstance(name, str) and (".ft-" in name or name.startswith(("gpt-", "ftchkpt-"))):
        return
    raise ArmError(
        400,
        "DeploymentModelNotSupported",
        f"The model 'Publisher: {model.get('publisher', '')}, Format: {model['format']}, Name: {name}, "
        f"Version: {model.get('version', '')}, Source: {model.get('source', '')}, "
        f"SourceAccount: {model.get('sourceAccount', '')}' of account deployment is not supported.",
    )


def _mapping(value: object, where: str) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    raise ArmError(
        400,
        "InvalidRequestContent",
        f"The request content was invalid and could not be deserialized: {where} must be a JSON object.",
    )
