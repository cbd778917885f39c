"""Translate errors of Azure Resource Manager into ours, with Azure's code and the remedy for that code."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from azure.core.exceptions import HttpResponseError

from shared.errors import CapacityRefused, OutcomeUnknown, ProviderBusy, ProviderError, ProviderRefused

LONGEST_WAIT = 3600.0  # seconds; a Retry-After of a day would outlast a window
_LONGEST_MESSAGE = 300
# Only these codes mean that another operation runs and that waiting helps. Every other 409 may last for ever.
_BUSY = frozenset(
    {
        "RequestConflict",
        "AnotherOperationInProgress",
        "ConflictingConcurrentWriteNotAllowed",
        "AccountProvisioningStateInvalid",  # the account itself is being changed
    }
)
NO_CAPACITY = "InsufficientQuota"
"""Azure's code if a create requests more capacity than is left."""
_IDENTITY = "run az login, or give the app an identity of the subscription's tenant (AZURE_CLIENT_ID)"
_RESOURCE_ID = "check accounts.NAME.resource_id in deployments.yaml, and that the account still exists"
_REMEDIES = {
    # the request
    NO_CAPACITY: "lower sku.capacity, or ask for more quota in the region",
    "DeploymentModelNotSupported": "check model.name and model.version in deployments.yaml",
    "InvalidResourceProperties": "check sku.name: the region does not offer it for this model",
    "SpecialFeatureOrQuotaIdRequired": "the subscription has no access to this model",
    "CannotChangeDeploymentModel": "a deployment's model cannot be changed: delete it, or use another name",
    "CannotChangeDeploymentSku": "a deployment's SKU cannot be changed: delete it, or use another name",
    # the caller's identity
    "LinkedAuthorizationFailed": "grant the app's identity Reader on the account or workspace it names",
    "AuthorizationFailed": "grant the app's identity accounts/read and deployments/read, write, delete",
    "InvalidAuthenticationToken": _IDENTITY,
    "InvalidAuthenticationTokenTenant": _IDENTITY,
    "AuthenticationFailed": _IDENTITY,
    "ExpiredAuthenticationToken": "check this machine's clock: Azure takes the token for an old one",
    # the resource's location
    "SubscriptionNotFound": "check the subscription in accounts.NAME.resource_id, and the identity's tenant",
    "InvalidSubscriptionId": "check the subscription in accounts.NAME.resource_id",
    "ResourceGroupNotFound": "check the resource group in accounts.NAME.resource_id",
    "ResourceNotFound": _RESOURCE_ID,
    "ParentResourceNotFound": _RESOURCE_ID,
    # obstacles that a person must remove
    "ReadOnlyDisabledSubscription": "the subscription is disabled: renew it, or settle its bill",
    "DisabledSubscription": "the subscription is disabled: renew it, or settle its bill",
    "SubscriptionNotRegistered": "register Microsoft.CognitiveServices in the subscription",
    "MissingSubscriptionRegistration": "register Microsoft.CognitiveServices in the subscription",
    "ScopeLocked": "remove the lock, or exempt the account's deployments",
    "RequestDisallowedByPolicy": "exempt the account from the policy, or ask for what it allows",
    "ResourceGroupBeingDeleted": "the resource group is being deleted: stop it, or remove the account here",
    "AccountIsNotSucceeded": "the account itself failed to be created or changed: see it in the Azure portal",
}
_BY_STATUS = {
    401: _IDENTITY,
    403: "see what the message names: the identity's roles, a policy, or the account's network rules",
    404: _RESOURCE_ID,
    409: "it may last: see the account's activity log in the Azure portal",
}

_UNKNOWN = "this code is unknown to Lamplighter: see the account's activity log in the Azure portal"


def no_identity(account: str) -> OutcomeUnknown:
    """Return the error for a request that was not sent because azure-identity had no token."""
    message = f"there is no identity to ask Azure with (account {account})."
    return OutcomeUnknown(message, code="NoIdentity", remedy=_IDENTITY)


def translated(account: str, error: HttpResponseError) -> ProviderError:
    """Return ProviderBusy (wait), ProviderRefused (for good), CapacityRefused or OutcomeUnknown.

    Its `retry_after` is in seconds, at most `LONGEST_WAIT`.
    """
    status = error.status_code or 0
    code = str((error.error and error.error.code) or status)
    said = str((error.error and error.error.message) or error.reason or "")[:_LONGEST_MESSAGE]
    message = f"Azure answered {status} {code} (account {account}): {said.rstrip('. ')}."
    headers: Mapping[str, str] = getattr(error.response, "headers", {})
    if status == 429 or (status == 409 and code in _BUSY):
        return ProviderBusy(message, code=code, retry_after=_retry_after(headers))
    if status == 408 or not 400 <= status < 500:
        return OutcomeUnknown(message, code=code, retry_after=_retry_after(headers))
    remedy = _REMEDIES.get(code) or _BY_STATUS.get(status) or _UNKNOWN
    refused = CapacityRefused if code == NO_CAPACITY else ProviderRefused
    return refused(message, code=code, remedy=remedy)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Read `Retry-After` as seconds: a number, or a date minus the server's Date; None for anything else."""
    value = headers.get("Retry-After", "")
    try:
        seconds = float(value)
    except ValueError:
        until = _moment(value)
        now = _moment(headers.get("Date", "")) or datetime.now(UTC)
        seconds = max(0.0, (until - now).total_seconds()) if until else math.nan
    return min(seconds, LONGEST_WAIT) if math.isfinite(seconds) and seconds >= 0 else None


def _moment(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
