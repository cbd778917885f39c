"""HTTP triggers, through the host as a process."""

from collections.abc import Iterator

import pytest
from host_process import KEY, HostProcess

from local.azurite import Azurite

APP = """
import os

OPEN = func.AuthLevel.ANONYMOUS

@app.route(route="documents/{id}/result", methods=["GET"], auth_level=OPEN)
async def result(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(req.route_params["id"] + req.params.get("q", ""), mimetype="application/json")

@app.route(route="documents/list", auth_level=OPEN)
def listing(req: func.HttpRequest) -> str:
    return f"list by {req.method} {req.url.partition('/api/')[2]}"

@app.route(route="documents", methods=["POST"])
async def submit(req: func.HttpRequest) -> func.HttpResponse:
    location = f"/api/documents/{req.headers['X-Name']}"
    return func.HttpResponse(req.get_body(), status_code=202, headers={"Location": location})

@app.route(route="administer", auth_level=func.AuthLevel.ADMIN)
async def administer(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(status_code=204)

@app.route(route="open/{*rest}", auth_level=OPEN)
async def rest(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(req.route_params["rest"] + " on " + os.environ["WEBSITE_HOSTNAME"])

@app.route(route="broken", auth_level=OPEN)
def broken(req: func.HttpRequest) -> func.HttpResponse:
    raise RuntimeError("the reason")
"""


@pytest.fixture(scope="module")
def host(
    tmp_path_factory: pytest.TempPathFactory, azurite_accounts: Iterator[Azurite]
) -> Iterator[HostProcess]:
    with HostProcess(tmp_path_factory.mktemp("app"), APP, next(azurite_accounts)) as host:
        yield host


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/api/documents/a%20b/result?q=%C3%A5", 200, "a bå"),
        ("/api/documents/list?x=1", 200, "list by GET documents/list?x=1"),
        ("/api/documents/a/other", 404, None),
        ("/documents/list", 404, None),
        ("/api/nothing", 404, None),
    ],
)
def test_routes(host: HostProcess, path: str, status: int, body: str | None) -> None:
    """Paths below the prefix find their function with its route parameters; all others are 404."""
    answer = host.call(path)
    assert answer[0] == status
    assert body is None or answer[2].decode() == body


def test_a_route_may_take_all_that_follows(host: HostProcess) -> None:
    """And the app knows the host's name, as in Azure, to ask it something."""
    own = host.url.partition("//")[2]
    assert host.call("/api/open/v1/files/a%20b")[2].decode() == f"v1/files/a b on {own}"
    assert host.call("/api/open/")[2].decode() == f" on {own}"


def test_answers(host: HostProcess) -> None:
    """Status, headers and body are the function's."""
    status, headers, body = host.call("/api/documents", "POST", b"\x00\xff", x_functions_key=KEY, x_name="n1")
    assert (status, headers["Location"], body) == (202, "/api/documents/n1", b"\x00\xff")
    assert host.call("/api/documents/x/result")[1]["Content-Type"] == "application/json"
    assert host.call("/api/documents/list")[1]["Content-Type"] == "text/plain"


def test_keys(host: HostProcess) -> None:
    """Routes that are not anonymous require the key, in the header or the query; the key is never logged."""
    assert host.call("/api/documents", "POST", b"")[0] == 401
    assert host.call("/api/documents", "POST", b"", x_functions_key="wrong")[0] == 401
    assert host.call("/api/administer?code=wröng".replace("ö", "%C3%B6"))[0] == 401
    assert host.call(f"/api/administer?code={KEY}")[0] == 204
    assert KEY not in host.output


def test_an_exception_stays_in_the_log(host: HostProcess) -> None:
    """The caller gets a 500 without details; the log has the stack trace, the function and the outcome."""
    status, _, body = host.call("/api/broken")
    assert (status, body) == (500, b"")
    host.wait(lambda: "function=broken" in host.output.partition("outcome=failed")[0])
    assert "RuntimeError: the reason" in host.output


def test_the_body_has_a_limit(host: HostProcess) -> None:
    """A body above 100 MB is refused with 413, a smaller one is accepted."""
    headers = {"x_functions_key": KEY, "x_name": "large"}
    size = 100 * 1024 * 1024
    assert host.call("/api/documents", "POST", bytes(size + 1), **headers)[0] == 413
    assert len(host.call("/api/documents", "POST", bytes(size), **headers)[2]) == size
