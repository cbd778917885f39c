"""HTTP triggers and the host's own addresses, on aiohttp's router."""

import hmac
import re
from collections.abc import Awaitable, Callable, Mapping

import azure.functions as func
from aiohttp import web
from multidict import CIMultiDict

from local.host.app import Function, HostError
from local.host.timers import TimerTrigger
from local.host.worker import Worker

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def aiohttp_path(prefix: str, route: str) -> str:
    """Translate a route template below `prefix` to aiohttp's, which knows {name} but not {*rest}.

    Raises HostError for what is not modelled: constraints, defaults and optional parameters.
    """
    if re.search(r"\{[^}]*[:=?]", route):
        raise HostError(f"the local host models only {{name}} and {{*rest}} in a route, not {route!r}")
    path = re.sub(r"\{\*(\w+)\}", r"{\1:.*}", route.strip("/"))
    return "/" + "/".join(filter(None, (prefix, path)))


class Routes:
    """Fills aiohttp's router. `key` opens what is not anonymous, as header x-functions-key or ?code=.

    It stands for Azure's function, host and master keys alike. A method that a route does not list is
    answered 405, in Azure 404; paths are told apart by case, in Azure they are not.
    """

    def __init__(self, router: web.UrlDispatcher, worker: Worker, key: str) -> None:
        self._router = router
        self._worker = worker
        self._key = key

    def add_function(self, function: Function, prefix: str) -> None:
        """Serve an HTTP function below `prefix`. Raises ValueError for a route that is not valid."""

        async def serve(request: web.Request) -> web.Response:
            query, path, body = dict(request.query), dict(request.match_info), await request.read()
            call = func.HttpRequest(
                request.method,
                str(request.url),
                headers=request.headers,
                params=query,
                route_params=path,
                body=body,
            )
            try:
                answer = await self._worker.invoke(function, call)
            except Exception:  # logged by the worker
                return web.Response(status=500)
            return _response(answer)

        anonymous = function.trigger.get("authLevel", "").upper() == "ANONYMOUS"
        for method in function.trigger.get("methods") or ["*"]:
            path = aiohttp_path(prefix, function.trigger["route"])
            self._router.add_route(method, path, serve if anonymous else self._with_key(serve))

    def add_admin(self, functions: list[Function], triggers: Mapping[str, object]) -> None:
        """Serve the host's status, and running a timer now."""

        async def status(_: web.Request) -> web.Response:
            listed = [{"name": each.name, "trigger": each.trigger["type"]} for each in functions]
            return web.json_response({"state": "Running", "functions": listed})

        async def run_now(request: web.Request) -> web.Response:
            timer = triggers.get(request.match_info["name"])
            if not isinstance(timer, TimerTrigger):
                return web.Response(status=404)
            self._worker.start(timer.invoke())
            return web.Response(status=202)

        self._router.add_get("/admin/host/status", status)
        self._router.add_post("/admin/functions/{name}", self._with_key(run_now))

    def _with_key(self, handler: Handler) -> Handler:
        async def guarded(request: web.Request) -> web.StreamResponse:
            given = request.headers.get("x-functions-key") or request.query.get("code", "")
            if not hmac.compare_digest(given.encode(), self._key.encode()):
                return web.Response(status=401)
            return await handler(request)

        return guarded


def _response(answer: func.HttpResponse | str) -> web.Response:
    if isinstance(answer, str):
        answer = func.HttpResponse(answer)
    headers = CIMultiDict(answer.headers.items())
    charset = f"; charset={answer.charset}" if answer.mimetype.startswith("text/") else ""
    headers.setdefault("Content-Type", answer.mimetype + charset)
    return web.Response(status=answer.status_code, headers=headers, body=answer.get_body())
