"""The emulator as one web application on one port of 127.0.0.1."""

import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from aiohttp import web

from local.emulator.arm import ControlPlane
from local.emulator.endpoints import Endpoints
from local.emulator.faults import Faults
from local.emulator.inference import DataPlane
from local.emulator.meter import Meter, Prices
from local.emulator.options import Account, Options
from local.emulator.state import Deployments, Lognormal, Rules
from local.emulator.topics import Topics
from local.emulator.upstream import Upstream

__all__ = ["Options", "Running", "emulator"]

_HOST = "127.0.0.1"
_LARGEST_BODY = 128 * 1024 * 1024
_SHUTDOWN_SECONDS = 1.0
Clock = Callable[[], datetime]


@dataclass(frozen=True)
class Running:
    """A running emulator; `url` is the base URL of its ARM, without a slash at the end."""

    url: str


@asynccontextmanager
async def emulator(options: Options, clock: Clock = lambda: datetime.now(UTC)) -> AsyncIterator[Running]:
    """Run an emulator until the context ends, which cuts off the requests in flight.

    `clock` returns an aware time; a test may set it. Deployments, limits and the bill follow it; latency and
    the delays of faults take real time. Raises OSError if the port is taken.
    """
    accounts = [Account.parse(resource_id) for resource_id in options.accounts]
    rules = Rules(
        Lognormal(options.provision_median, options.provision_p95),
        options.delete_seconds,
        options.warmup_seconds,
        options.serialise_until,
        options.quota,
        options.slots,
    )
    # Seeded, so that a run can be repeated.
    deployments = Deployments(rules, random.Random(options.seed))
    meter = Meter(Prices(options.hosting_price, options.billing_unit, options.billing_starts))
    faults, endpoints = Faults(), Endpoints(accounts)
    upstream = None
    if options.upstream is not None and options.upstream_model is not None:
        upstream = Upstream(options.upstream, options.upstream_model, options.upstream_key)
    control_plane = ControlPlane(
        {account.key: account for account in accounts},
        endpoints,
        options,
        deployments,
        meter,
        faults,
        clock,
    )
    data_plane = DataPlane(
        endpoints,
        options,
        deployments,
        meter,
        faults,
        clock,
        upstream,
    )

    async def bill(_: web.Request) -> web.Response:
        names = [account.name for account in accounts]
        return web.json_response(meter.bill(names, deployments.generations, clock()))

    async def recreate(request: web.Request) -> web.Response:
        """Delete an account and create it again under another subdomain, without deployments."""
        name = request.match_info["account"].lower()
        found = next((account for account in accounts if account.name.lower() == name), None)
        if found is None:
            return _refused(404, "InvalidAccount", f"There is no account '{name}'.")
        try:
            body = json.loads(await request.read())
            endpoints.move(found, body.get("subdomain") if isinstance(body, dict) else None)
        except ValueError as error:
            return _refused(400, "InvalidEndpoint", str(error))
        for generation in deployments.list(found, clock()):
            meter.note_delete(generation)
        deployments.remove_all(found, clock())
        return web.json_response({"endpoint": f"{request.url.origin()}/{endpoints.of(found)}/"})

    async def admissions(request: web.Request) -> web.Response:
        return web.json_response({"admissions": meter.admissions(request.query.get("deployment", ""))})

    async def limit(request: web.Request) -> web.Response:
        """Multiply the limits of a deployment by a share."""
        try:
            body = json.loads(await request.read())
            name, share = body["deployment"], body["share"]
            if not isinstance(name, str) or not isinstance(share, int | float) or not 0 < share <= 100:
                raise ValueError
        except (ValueError, TypeError, KeyError):
            return _refused(400, "InvalidLimits", 'The body is {"deployment": "NAME", "share": 0.5}.')
        data_plane.set_share(name, share)
        return web.Response(status=204)

    app = web.Application(middlewares=[_errors_as_json], client_max_size=_LARGEST_BODY)
    app.add_routes([web.get("/emulator/health", _health), web.get("/emulator/bill", bill)])
    app.add_routes(_fault_routes(faults, lambda: deployments.end_stuck(clock())))
    app.add_routes([web.get("/emulator/admissions", admissions), web.post("/emulator/limits", limit)])
    app.add_routes([web.post("/emulator/accounts/{account}/endpoint", recreate)])
    app.add_routes(control_plane.routes())
    app.add_routes(data_plane.routes())
    app.add_routes(Topics(faults).routes())
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS)
    await runner.setup()
    try:
        await web.TCPSite(runner, _HOST, options.port).start()
        yield Running(f"http://{_HOST}:{runner.addresses[0][1]}")
    finally:
        await runner.cleanup()
        await faults.close()
        if upstream is not None:
            await upstream.close()


async def _health(_: web.Request) -> web.Response:
    return web.json_response({"status": "ok"})


def _refused(status: int, code: str, message: str) -> web.Response:
    return web.json_response({"error": {"code": code, "message": message}}, status=status)


def _fault_routes(faults: Faults, on_clear: Callable[[], None]) -> list[web.RouteDef]:
    async def post(request: web.Request) -> web.Response:
        try:
            fault = faults.add(await request.read())
        except ValueError as error:
            return _refused(400, "InvalidFault", str(error))
        return web.json_response(fault.model_dump(exclude_none=True), status=201)

    async def get(_: web.Request) -> web.Response:
        return web.json_response({"faults": faults.listed()})

    async def delete(_: web.Request) -> web.Response:
        faults.clear()
        on_clear()
        return web.Response(status=204)

    path = "/emulator/faults"
    return [web.post(path, post), web.get(path, get), web.delete(path, delete)]


@web.middleware
async def _errors_as_json(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Return the errors of the web framework (path, method, size of the body) in Azure's error format."""
    try:
        return await handler(request)
    except web.HTTPException as refusal:
        message = "Resource not found" if refusal.status == 404 else refusal.reason
        return web.json_response(
            {"error": {"code": str(refusal.status), "message": message}}, status=refusal.status
        )
