"""Accounts, models, quotas and deployments as the JSON of Azure Resource Manager."""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from yarl import URL

from local.emulator.options import Account
from local.emulator.specification import MAX_OUTPUT_TOKENS, REGION, SKUS, makes_embeddings, usage_name
from local.emulator.state import SUCCEEDED, Generation


def account_json(account: Account, subdomain: str, origin: URL) -> dict[str, Any]:
    return {
        "id": account.resource_id,
        "name": account.name,
        "type": "Microsoft.CognitiveServices/accounts",
        "location": REGION,
        "kind": "OpenAI",
        "sku": {"name": "S0"},
        "properties": {
            "endpoint": f"{origin}/{subdomain}/",
            "customSubDomainName": subdomain,
            "provisioningState": SUCCEEDED,
        },
    }


def capabilities_json(model: str, context_tokens: int | None) -> dict[str, str]:
    """Return what a model can do, as public outputs of `az` show it. `context_tokens`: None is not shown.

    Deployments of gpt-4o and gpt-35-turbo show their context size, those of gpt-4.1-mini do not.
    """
    if makes_embeddings(model):
        return {"embeddings": "true"}
    size = {"maxContextToken": str(context_tokens), "maxOutputToken": str(MAX_OUTPUT_TOKENS)}
    return {"chatCompletion": "true", **({} if context_tokens is None else size)}


def model_json(
    name: str, version: str, context_tokens: int | None, lifecycle: str | None, retires: str | None
) -> dict[str, Any]:
    """Return a model as an account lists it, with its SKUs and the quota of each."""
    skus = [{"name": sku, "usageName": usage_name(name, sku)} for sku in SKUS]
    return {
        "format": "OpenAI",
        "name": name,
        "version": version,
        "capabilities": capabilities_json(name, context_tokens),
        "skus": skus,
        "lifecycleStatus": lifecycle or "GenerallyAvailable",
        "deprecation": {} if retires is None else {"inference": retires},
    }


def capacity_json(subscription: str, model: Mapping[str, str], sku: str, left: int) -> dict[str, Any]:
    """Return the capacity left in the region for a model and SKU, as a subscription lists it."""
    name = f"{model['name']}.{model['version']}.{sku}"
    return {
        "id": f"/subscriptions/{subscription}/providers/Microsoft.CognitiveServices/modelCapacities/{name}",
        "name": name,
        "type": "Microsoft.CognitiveServices/modelCapacities",
        "location": REGION,
        "properties": {
            "model": dict(model),
            "skuName": sku,
            "availableCapacity": left,
            "availableFinetuneCapacity": left,
        },
    }


def usage_json(name: str, used: int, limit: int) -> dict[str, Any]:
    """Return a quota of the subscription, in thousands of tokens per minute."""
    return {
        "name": {"value": name, "localizedValue": "Tokens Per Minute (thousands)"},
        "currentValue": used,
        "limit": limit,
        "unit": "Count",
    }


def deployment_json(
    generation: Generation, at: datetime, minute_seconds: float, context_tokens: int | None
) -> dict[str, Any]:
    """Return a deployment as ARM shows it. `minute_seconds`: the length of a minute of its rate limits."""
    first, last = generation.runs[0], generation.run(at)
    asked = last.specification
    version = f"{generation.number}.{generation.runs.index(last)}.{generation.state(at)}"
    limits = (("request", asked.requests_per_minute), ("token", asked.tokens_per_minute))
    return {
        "id": generation.resource_id,
        "name": generation.name,
        "type": "Microsoft.CognitiveServices/accounts/deployments",
        "etag": f'"{hashlib.sha256(version.encode()).hexdigest()[:32]}"',
        "sku": dict(asked.sku),
        "tags": dict(asked.tags),
        "systemData": {
            "createdBy": first.by,
            "createdByType": "Application",
            "createdAt": timestamp(first.accepted),
            "lastModifiedBy": last.by,
            "lastModifiedByType": "Application",
            "lastModifiedAt": timestamp(last.accepted),
        },
        "properties": {
            **asked.properties,
            "provisioningState": generation.state(at),
            "capabilities": capabilities_json(asked.model_name, context_tokens),
            "rateLimits": [
                {"key": key, "renewalPeriod": minute_seconds, "count": count} for key, count in limits
            ],
        },
    }


def timestamp(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
