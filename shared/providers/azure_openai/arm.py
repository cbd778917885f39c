"""Manage deployments through azure-mgmt-cognitiveservices. Nothing here retries or polls: the next pass does.

No PUT or DELETE is sent twice, not even by the transport. See Note: the fence in docs/design.md.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from azure.core.exceptions import AzureError, DeserializationError, HttpResponseError, ResourceNotFoundError
from azure.core.pipeline import PipelineRequest
from azure.core.pipeline.policies import SansIOHTTPPolicy
from azure.mgmt.cognitiveservices.aio import CognitiveServicesManagementClient
from azure.mgmt.cognitiveservices.models import (
    Deployment,
    DeploymentModel,
    DeploymentProperties,
    Sku,
    ThrottlingRule,
)

from shared.adapters.credentials import is_local, may_have_token, token_credential
from shared.adapters.transport import sent_once
from shared.errors import CapacityUnknown, OutcomeUnknown, ProviderRefused
from shared.model import DeploymentSpec, Hosted
from shared.model.azure_openai import base_model
from shared.ports import Model, Offer, Quota
from shared.providers.azure_openai.errors import no_identity, translated
from shared.providers.azure_openai.probe import probe
from shared.providers.azure_openai.states import status_of

_FORMAT = "OpenAI"  # of models
# The tokens of a request with its answer, and of an answer. Some models show neither, gpt-4.1-mini for one.
_CONTEXT, _MAX_OUTPUT = "maxContextToken", "maxOutputToken"


class AzureOpenAI:
    """The implementation of `shared.ports.Provider` and `Catalogue` for Azure OpenAI.

    `url`: the URL of Azure Resource Manager, or of the emulator (http on a loopback address). `model`: the
    data plane of the deployments, for the probe.
    """

    def __init__(self, url: str, model: Model) -> None:
        self._url = url.rstrip("/")
        self._model = model
        self._credential = token_credential(url)
        self._clients: dict[str, CognitiveServicesManagementClient] = {}

    async def close(self) -> None:
        """Close the connections."""
        for client in self._clients.values():
            await client.close()
        await self._credential.close()

    async def endpoint(self, account: str, *, timeout: float) -> str:
        """See the port."""
        async with _call(account, timeout):
            _, group, name = _parts(account)
            found = await self._client(account).accounts.get(group, name)
            endpoint = (found.properties.endpoint if found.properties else None) or ""
            return checked_endpoint(name, endpoint, local=is_local(self._url))

    async def deployments(self, account: str, *, timeout: float) -> Mapping[str, Hosted]:
        """See the port."""
        async with _call(account, timeout):
            _, group, name = _parts(account)
            listed = [deployment async for deployment in self._client(account).deployments.list(group, name)]
            return {hosted.spec.name: hosted for hosted in map(_from_azure, listed)}

    async def put(self, account: str, spec: DeploymentSpec, *, timeout: float) -> Hosted:
        """See the port."""
        async with _call(account, timeout):
            _, group, name = _parts(account)
            poller = await self._client(account).deployments.begin_create_or_update(
                group, name, spec.name, _to_azure(spec), polling=False
            )
            return _from_azure(await poller.result())

    async def delete(self, account: str, deployment: str, *, timeout: float) -> None:
        """See the port."""
        async with _call(account, timeout):
            _, group, name = _parts(account)
            try:
                await self._client(account).deployments.begin_delete(group, name, deployment, polling=False)
            except ResourceNotFoundError as error:
                if error.error and error.error.code == "SubscriptionNotFound":
                    raise  # the identity cannot see the subscription, so the deployment may still exist

    async def offers(self, account: str, *, timeout: float) -> Sequence[Offer]:
        """See the port."""
        async with _call(account, timeout):
            _, group, name = _parts(account)
            return [
                Offer(
                    model=str(model.name),
                    version=str(model.version),
                    sku=str(sku.name),
                    quota=sku.usage_name or "",
                    lifecycle=str(model.lifecycle_status or ""),
                    retires_at=_moment(model.deprecation.inference if model.deprecation else None),
                    context_tokens=_capability(model.capabilities, _CONTEXT),
                    max_output_tokens=_capability(model.capabilities, _MAX_OUTPUT),
                )
                async for model in self._client(account).accounts.list_models(group, name)
                for sku in model.skus or []
            ]

    async def quotas(self, account: str, *, timeout: float) -> Mapping[str, Quota]:
        """See the port."""
        async with _call(account, timeout):
            _, group, name = _parts(account)
            region = (await self._client(account).accounts.get(group, name)).location
            return {
                str(usage.name.value): Quota(usage.current_value or 0.0, usage.limit or 0.0)
                async for usage in self._client(account).usages.list(str(region))
                if usage.name is not None
            }

    async def capacity_left(self, account: str, spec: DeploymentSpec, *, timeout: float) -> float:
        """See the port."""
        base = base_model(spec.model_name)
        if base is None:
            raise CapacityUnknown("the model's name does not tell its base model")
        async with _call(account, timeout):
            _, group, name = _parts(account)
            region = _region((await self._client(account).accounts.get(group, name)).location)
            async for offered in self._client(account).model_capacities.list(_FORMAT, *base):
                found = offered.properties
                if found is None or found.available_finetune_capacity is None:
                    continue
                if found.sku_name == spec.sku and _region(offered.location) == region:
                    return found.available_finetune_capacity
        raise CapacityUnknown(f"Azure says nothing of {spec.sku}")

    async def probe(self, endpoint: str, deployment: str, *, timeout: float) -> None:
        """See the port."""
        await probe(self._model, endpoint, deployment, timeout=timeout)

    def _client(self, account: str) -> CognitiveServicesManagementClient:
        subscription = _parts(account)[0]
        if subscription not in self._clients:
            options: dict[str, Any] = {"authentication_policy": _LocalBearer()} if is_local(self._url) else {}
            self._clients[subscription] = CognitiveServicesManagementClient(
                self._credential,
                subscription,
                base_url=self._url,
                credential_scopes=[f"{self._url}/.default"],
                retry_total=0,
                transport=sent_once(),
                **options,
            )
        return self._clients[subscription]


class _LocalBearer(SansIOHTTPPolicy[Any, Any]):
    """A policy that sends a bearer token to the emulator over plain http, which the SDK refuses to do."""

    def on_request(self, request: PipelineRequest[Any]) -> None:
        request.http_request.headers["Authorization"] = "Bearer local"


def checked_endpoint(account: str, endpoint: str, *, local: bool) -> str:
    """Return an account's data plane URL, ending in a slash, to which a token may be sent.

    `local`: ARM is the local stack; only then may the endpoint be local, too.
    Raises ProviderRefused if there is no endpoint, or no token may be sent to it.
    """
    if not endpoint:
        raise ProviderRefused(
            f"the account {account} has no endpoint.",
            code="NoEndpoint",
            remedy="check that it is an Azure OpenAI account",
        )
    if not may_have_token(endpoint) or (is_local(endpoint) and not local):
        raise ProviderRefused(
            f"the endpoint of the account {account} is no https address, so no token is sent there.",
            code="EndpointNotHttps",
            remedy="check the account's endpoint in the Azure portal",
        )
    return endpoint.rstrip("/") + "/"


def _parts(account: str) -> tuple[str, str, str]:
    """Split an account's (validated) resource id into subscription, resource group and name."""
    parts = account.strip("/").split("/")
    return parts[1], parts[3], parts[7]


def _to_azure(spec: DeploymentSpec) -> Deployment:
    model = DeploymentModel(
        format=_FORMAT, name=spec.model_name, version=spec.model_version, source=spec.model_source
    )
    properties = DeploymentProperties(
        model=model,
        rai_policy_name=spec.rai_policy_name,
        version_upgrade_option=spec.version_upgrade_option,
        spillover_deployment_name=spec.spillover_deployment_name,
    )
    sku = Sku(name=spec.sku, capacity=spec.capacity)
    return Deployment(sku=sku, tags=dict(spec.tags), properties=properties)


def _from_azure(found: Deployment) -> Hosted:
    properties = found.properties
    model = properties.model if properties else None
    limits = (properties.rate_limits if properties else None) or []
    state = str((properties and properties.provisioning_state) or "")
    spec = DeploymentSpec(
        name=str(found.name),
        model_name=str((model and model.name) or ""),
        model_version=str((model and model.version) or ""),
        model_source=(model and model.source) or None,
        sku=str(found.sku.name) if found.sku else "",
        capacity=(found.sku.capacity if found.sku else None) or 0,
        rai_policy_name=(properties and properties.rai_policy_name) or None,
        version_upgrade_option=(properties and properties.version_upgrade_option) or None,
        spillover_deployment_name=(properties and properties.spillover_deployment_name) or None,
        tags=dict(found.tags or {}),
    )
    tokens, token_renewal = _limit(limits, "token")
    requests, request_renewal = _limit(limits, "request")
    return Hosted(
        spec,
        status_of(state),
        said=state,
        created_at=found.system_data.created_at if found.system_data else None,
        tokens_per_minute=tokens,
        token_renewal=token_renewal,
        requests_per_minute=requests,
        request_renewal=request_renewal,
        context_tokens=_capability(properties.capabilities if properties else None, _CONTEXT),
    )


def _capability(shown: Mapping[str, str] | None, name: str) -> int | None:
    """Return a number that Azure shows as text among the capabilities of a model; None if it shows none."""
    text = (shown or {}).get(name)
    is_number = isinstance(text, str) and len(text) < 10 and text.isascii() and text.isdigit()
    return int(text) or None if text and is_number else None


def _region(location: str | None) -> str:
    """Normalise a region's name: West Europe becomes westeurope."""
    return (location or "").replace(" ", "").lower()


def _moment(text: str | None) -> datetime | None:
    """Parse a time from Azure, in UTC if it has no zone; None if it is not a time."""
    try:
        found = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _limit(limits: list[ThrottlingRule], key: str) -> tuple[int | None, float]:
    """Return a limit per minute, None if Azure shows none, and the seconds over which Azure counts it."""
    for rule in limits:
        if rule.key == key and rule.count and rule.renewal_period:
            return max(1, int(rule.count * 60 / rule.renewal_period)), float(rule.renewal_period)
    return None, 60.0


@contextlib.asynccontextmanager
async def _call(account: str, timeout: float) -> AsyncIterator[None]:
    """Limit a call to `timeout` seconds and translate the vendor's errors into ours."""
    name = account.rsplit("/", 1)[-1]
    try:
        async with asyncio.timeout(timeout):
            yield
    except TimeoutError as error:
        raise OutcomeUnknown(f"Azure did not answer within {timeout:.0f} s (account {name})") from error
    except HttpResponseError as error:
        raise (no_identity(name) if error.status_code is None else translated(name, error)) from error
    except (
        DeserializationError,
        AttributeError,
        TypeError,
    ) as error:  # the SDK found a field missing or malformed
        raise OutcomeUnknown(f"Azure's answer is not what its API promises (account {name})") from error
    except AzureError as error:
        raise OutcomeUnknown(
            f"Azure could not be reached (account {name}): {type(error).__name__}"
        ) from error
