"""Azure Resource Manager over HTTP: accounts and their deployments, api-version 2025-09-01."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from aiohttp import web

from local.emulator.endpoints import Endpoints
from local.emulator.faults import ArmOperation, Fault, Faults
from local.emulator.meter import Meter
from local.emulator.options import Account, Options
from local.emulator.resources import (
    account_json,
    capacity_json,
    deployment_json,
    model_json,
    timestamp,
    usage_json,
)
from local.emulator.specification import REGION, REGIONAL_CAPACITY, SKUS, ArmError, Specification, parse
from local.emulator.state import SUCCEEDED, Deployments, Generation, Operation
from local.emulator.throttle import Throttle, principal

_CALL_ID = "x-ms-client-request-id"
_Act = Callable[[Account, Fault | None], web.Response]


def _path(template: str) -> str:
    """Return a route whose fixed parts are case-insensitive, as in resource ids."""
    parts = template.strip("/").split("/")
    fixed = (part if part.startswith("{") else f"{{_{at}:(?i:{part})}}" for at, part in enumerate(parts))
    return "/" + "/".join(fixed)


_PROVIDER = "providers/Microsoft[.]CognitiveServices"
_ACCOUNT = _path(f"subscriptions/{{subscription}}/resourceGroups/{{group}}/{_PROVIDER}/accounts/{{account}}")
_MODELS = f"{_ACCOUNT}/{{_m:(?i:models)}}"
_DEPLOYMENTS = f"{_ACCOUNT}/{{_d:(?i:deployments)}}"
_DEPLOYMENT = f"{_DEPLOYMENTS}/{{deployment}}"
_LOCATION = f"subscriptions/{{subscription}}/{_PROVIDER}/locations/{{location}}"
_USAGES = _path(f"{_LOCATION}/usages")
_CAPACITIES = _path(f"subscriptions/{{subscription}}/{_PROVIDER}/modelCapacities")
_OPERATION = _path(f"{_LOCATION}/operations/{{operation}}")
_MODEL = ("format", "name", "version")
_RESULT = _path(f"{_LOCATION}/operationResults/{{operation}}")


@dataclass(frozen=True)
class ControlPlane:
    """The handlers of the control plane."""

    accounts: Mapping[str, Account]  # by their keys
    endpoints: Endpoints
    options: Options
    deployments: Deployments
    meter: Meter
    faults: Faults
    clock: Callable[[], datetime]
    _throttle: Throttle = field(init=False, default_factory=Throttle)

    def routes(self) -> Iterable[web.RouteDef]:
        return (
            web.get(_ACCOUNT, self.get_account),
            web.get(_MODELS, self.list_models),
            web.get(_USAGES, self.list_usages),
            web.get(_CAPACITIES, self.list_capacities),
            web.get(_DEPLOYMENTS, self.list_deployments),
            web.get(_DEPLOYMENT, self.get_deployment),
            web.put(_DEPLOYMENT, self.put_deployment),
            web.delete(_DEPLOYMENT, self.delete_deployment),
            web.get(_OPERATION, self.get_operation),
            web.get(_RESULT, self.get_result),
        )

    async def get_account(self, request: web.Request) -> web.StreamResponse:
        def act(account: Account, _: Fault | None) -> web.Response:
            subdomain = self.endpoints.of(account)
            return web.json_response(account_json(account, subdomain, request.url.origin()))

        return await self._serve(request, "get", act)

    async def list_models(self, request: web.Request) -> web.StreamResponse:
        """List the models that the account offers, with their SKUs and the quota of each SKU."""

        def act(account: Account, fault: Fault | None) -> web.Response:
            shown = (None, None) if fault is None else (fault.lifecycle, fault.retires)
            models = sorted(self.deployments.models(account))
            return self._page(request, [model_json(*model, self._context, *shown) for model in models])

        return await self._serve(request, "models", act)

    async def list_usages(self, request: web.Request) -> web.StreamResponse:
        """List the quotas of a subscription in a region."""

        def act(_: Fault | None) -> web.Response:
            used: Mapping[str, int] = {}
            if request.match_info["location"].lower() == REGION:
                used = self.deployments.quotas(request.match_info["subscription"], self.clock())
            limit = self.deployments.rules.quota
            return self._page(request, [usage_json(name, amount, limit) for name, amount in used.items()])

        return await self._serve_subscription(request, "usages", act)

    async def list_capacities(self, request: web.Request) -> web.StreamResponse:
        """List the capacity left for a model by region and SKU; the emulator has one region."""

        def act(fault: Fault | None) -> web.Response:
            asked = {name: request.query.get(f"model{name.title()}", "") for name in _MODEL}
            if not all(asked.values()):
                raise ArmError(400, "InvalidQueryParameterValue", "A modelFormat, modelName or modelVersion.")
            left = REGIONAL_CAPACITY if fault is None or fault.left is None else fault.left
            subscription = request.match_info["subscription"]
            return self._page(request, [capacity_json(subscription, asked, sku, left) for sku in SKUS])

        return await self._serve_subscription(request, "capacities", act)

    async def get_deployment(self, request: web.Request) -> web.StreamResponse:
        def act(account: Account, _: Fault | None) -> web.Response:
            now = self.clock()
            found = self.deployments.find(account, request.match_info["deployment"], now)
            if found is None:
                raise _not_found(account, f"/deployments/{request.match_info['deployment']}")
            return web.json_response(self._json(found, now))

        return await self._serve(request, "get", act)

    async def list_deployments(self, request: web.Request) -> web.StreamResponse:
        def act(account: Account, fault: Fault | None) -> web.Response:
            at = self.clock()
            if fault is not None and fault.lag_seconds is not None:
                at -= timedelta(seconds=fault.lag_seconds)
            omitted = "" if fault is None else (fault.omit or "").lower()
            found = self.deployments.list(account, at)
            listed = (generation for generation in found if generation.name.lower() != omitted)
            return self._page(request, [self._json(generation, at) for generation in listed])

        return await self._serve(request, "list", act)

    async def put_deployment(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()

        def act(account: Account, fault: Fault | None) -> web.Response:
            now = self.clock()
            name = request.match_info["deployment"]
            outcome = SUCCEEDED if fault is None or fault.provision is None else fault.provision
            asked = _specification(name, body)
            if fault is not None and fault.drop_tags:
                asked = replace(asked, tags={})
            put, created = self.deployments.put(account, name, asked, principal(request), now, outcome)
            return web.json_response(self._json(put, now), status=201 if created else 200)

        return await self._serve(request, "put", act)

    async def delete_deployment(self, request: web.Request) -> web.StreamResponse:
        def act(account: Account, fault: Fault | None) -> web.Response:
            name, now = request.match_info["deployment"], self.clock()
            if fault is not None and fault.no_effect:
                operation = self.deployments.pretend_to_delete(account, name, now)
                headers = {} if operation is None else _operation_headers(operation, request)
                return web.Response(status=204 if operation is None else 202, headers=headers)
            operation = self.deployments.delete(
                account, name, now, for_ever=fault is not None and bool(fault.stuck)
            )
            if operation is None:
                return web.Response(status=204)
            self.meter.note_delete(operation.generation)
            return web.Response(status=202, headers=_operation_headers(operation, request))

        return await self._serve(request, "delete", act)

    async def get_operation(self, request: web.Request) -> web.StreamResponse:
        """Answer the azure-asyncoperation URL: 200 with the status of the operation."""
        operation = self._operation(request)
        if isinstance(operation, ArmError):
            return _error(operation)
        done = operation.ended(self.clock())
        body = {
            "id": request.path,
            "name": operation.identifier,
            "status": "Succeeded" if done else "InProgress",
            "startTime": timestamp(operation.started),
        }
        if operation.ends is None or not done:
            return web.json_response(body)
        return web.json_response({**body, "endTime": timestamp(operation.ends)})

    async def get_result(self, request: web.Request) -> web.StreamResponse:
        """Answer the Location URL: 202 while the operation runs, then 204."""
        operation = self._operation(request)
        if isinstance(operation, ArmError):
            return _error(operation)
        if operation.ended(self.clock()):
            return web.Response(status=204)
        return web.Response(status=202, headers=_operation_headers(operation, request))

    async def _serve(self, request: web.Request, operation: ArmOperation, act: _Act) -> web.StreamResponse:
        asked = Account(*(request.match_info[part] for part in ("subscription", "group", "account")))
        account = self.accounts.get(asked.key)
        if account is not None:
            self.meter.count_arm_call(account.name, operation, request.headers.get(_CALL_ID))
        try:
            headers = self._throttle.admit(request, self.clock(), operation)
            if account is None:
                raise _not_found(asked)
        except ArmError as refusal:
            return _error(refusal)
        fault = self.faults.take("arm", operation, request.match_info.get("deployment"))
        return await self._answer(request, fault, headers, lambda fault: act(account, fault))

    async def _serve_subscription(
        self, request: web.Request, operation: ArmOperation, act: Callable[[Fault | None], web.Response]
    ) -> web.StreamResponse:
        try:
            headers = self._throttle.admit(request, self.clock(), operation)
        except ArmError as refusal:
            return _error(refusal)
        return await self._answer(request, self.faults.take("arm", operation, None), headers, act)

    async def _answer(
        self,
        request: web.Request,
        fault: Fault | None,
        headers: Mapping[str, str],
        act: Callable[[Fault | None], web.Response],
    ) -> web.StreamResponse:
        async def answer() -> web.StreamResponse:
            try:
                response = act(fault)
            except ArmError as refusal:
                response = _error(refusal)
            response.headers.update(headers)
            return response

        return await self.faults.carry_out(fault, request, answer)

    def _json(self, generation: Generation, at: datetime) -> dict[str, Any]:
        return deployment_json(generation, at, self.options.minute_seconds, self._context)

    @property
    def _context(self) -> int | None:
        """Return the context size that models and deployments show; None if they show none."""
        return self.options.context_tokens if self.options.context_size == "present" else None

    def _page(self, request: web.Request, rows: Sequence[Mapping[str, Any]]) -> web.Response:
        """Return a page of rows from the $skiptoken on, and a link to the next. Raises ArmError."""
        token = request.query.get("$skiptoken", "0")
        if not token.isdecimal():
            raise ArmError(
                400, "InvalidQueryParameterValue", "The $skiptoken is not one that a LIST returned."
            )
        end = int(token) + self.options.page_size
        page: dict[str, Any] = {"value": rows[int(token) : end]}
        if end < len(rows):
            page["nextLink"] = str(request.url.update_query({"$skiptoken": str(end)}))
        return web.json_response(page)

    def _operation(self, request: web.Request) -> Operation | ArmError:
        try:
            self._throttle.admit(request, self.clock(), "get")
        except ArmError as refusal:
            return refusal
        identifier = request.match_info["operation"]
        return self.deployments.operation(identifier) or ArmError(
            404, "ResourceNotFound", f"The operation '{identifier}' was not found."
        )


def _specification(name: str, body: bytes) -> Specification:
    try:
        content = json.loads(body)
    except ValueError as error:
        raise ArmError(
            400,
            "InvalidRequestContent",
            "The request content was invalid and could not be deserialized: not JSON.",
        ) from error
    return parse(name, content)


def _error(error: ArmError) -> web.Response:
    body = {"error": {"code": error.code, "message": error.message}}
    return web.json_response(body, status=error.status, headers=error.headers)


def _not_found(account: Account, below: str = "") -> ArmError:
    return ArmError(
        404,
        "ResourceNotFound",
        f"The Resource 'Microsoft.CognitiveServices/accounts/{account.name}{below}' under resource group "
        f"'{account.group}' was not found.",
    )


def _operation_headers(operation: Operation, request: web.Request) -> dict[str, str]:
    account = operation.generation.account
    base = (
        f"{request.url.origin()}/subscriptions/{account.subscription}/providers/Microsoft.CognitiveServices"
        f"/locations/{REGION}"
    )
    query = f"{operation.identifier}?api-version={request.query['api-version']}"
    return {
        "azure-asyncoperation": f"{base}/operations/{query}",
        "Location": f"{base}/operationResults/{query}",
    }
