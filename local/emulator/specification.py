"""The body of a PUT of a deployment, and the models and SKUs that Azure knows."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

DEVELOPER_TIER = "DeveloperTier"
REGION = "swedencentral"
SKUS = (DEVELOPER_TIER, "GlobalStandard", "ProvisionedManaged", "Standard")
"""The SKUs that the region offers for every model; DataZoneStandard exists in the USA only."""
MAX_OUTPUT_TOKENS = 16_384
"""The tokens of an answer that every model shows as its limit; no request is refused for it."""
REGIONAL_CAPACITY = 100_000
"""The capacity left in the region for each model and SKU, in thousands of tokens per minute."""
_NAME_LENGTH = 64
_VERSION = re.compile(r"-\d{4}(-\d\d-\d\d)?$")  # a date at the end of a base model's name


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
    """The body of a PUT, kept as it was sent, including properties that the emulator does not know."""

    sku: Mapping[str, Any]
    tags: Mapping[str, str]
    properties: Mapping[str, Any]

    @property
    def sku_name(self) -> str:
        return str(self.sku["name"])

    @property
    def capacity(self) -> int:
        """Return the capacity in thousands of tokens per minute."""
        return int(self.sku["capacity"])

    @property
    def model_name(self) -> str:
        return str(self.properties["model"]["name"])

    @property
    def model_version(self) -> str:
        return str(self.properties["model"].get("version", ""))

    @property
    def fine_tuned(self) -> bool:
        return is_fine_tuned(self.model_name)

    @property
    def usage_name(self) -> str:
        """Return the name of the quota that the deployment uses; see `usage_name`."""
        return usage_name(self.model_name, self.sku_name)

    @property
    def tokens_per_minute(self) -> int:
        return self.capacity * 1000

    @property
    def requests_per_minute(self) -> int:
        """Return the limit. Azure gives 1 per 1,000 tokens for gpt-4.1, 10 for gpt-5, 6 for older models."""
        if self.model_name.startswith("gpt-4.1"):
            return self.capacity
        return self.capacity * (10 if self.model_name.startswith("gpt-5") else 6)

    @property
    def has_hosting_fee(self) -> bool:
        """Return whether Azure charges by the hour: for fine-tuned models, except on the developer tier."""
        return self.fine_tuned and self.sku_name != DEVELOPER_TIER


def parse(deployment: str, body: object) -> Specification:
    """Read the body of a PUT. Raises ArmError with Azure's status and code for a body that Azure refuses."""
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
        # Azure answers a wrong model format with a 500 without a message.
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


def usage_name(model: str, sku: str) -> str:
    """Return the name of the quota of a model and SKU, such as OpenAI.GlobalStandard.gpt-4o-finetune.

    As public outputs of `az cognitiveservices usage list` show: each SKU has its own quota for a base model
    and another one for its fine-tuned versions, and ProvisionedManaged has one for all models. The names
    have gpt4.1 for gpt-4.1, so a client has to read the name from the model's SKU.
    """
    if sku == "ProvisionedManaged":
        return f"OpenAI.{sku}"
    family = _VERSION.sub("", model.partition(".ft-")[0]).replace("gpt-4.1", "gpt4.1")
    # The name of a checkpoint does not contain its base model: here each checkpoint has a quota of its own.
    return f"OpenAI.{sku}.{family}" + ("-finetune" if is_fine_tuned(model) else "")


def makes_embeddings(model: str) -> bool:
    """Return whether the name is that of a model for embeddings."""
    return model.startswith("text-embedding-")


def is_fine_tuned(model: str) -> bool:
    """Return whether the name is that of a fine-tuned model or of a checkpoint."""
    return ".ft-" in model or model.startswith("ftchkpt-")


def _check_model(model: Mapping[str, Any]) -> None:
    name = model.get("name")
    if isinstance(name, str) and (is_fine_tuned(name) or makes_embeddings(name) or name.startswith("gpt-")):
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
