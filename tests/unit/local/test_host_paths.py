"""Blob paths, HTTP routes, settings and host.json, pure."""

from pathlib import Path

import pytest

from local.azurite import account_name
from local.host.app import HostError, read_host_json, resolve
from local.host.blobs import blob_pattern
from local.host.routes import aiohttp_path


@pytest.mark.parametrize(
    ("path", "name", "matches"),
    [
        ("inbox/{name}", "a.txt", True),
        ("inbox/{name}", "deployment/folder/a.txt", True),
        ("inbox/{name}", "line\nbreak", True),
        ("inbox/{name}.txt", "deployment/a.txt", True),
        ("inbox/{name}.txt", "a-txt", False),
        ("inbox/done/{name}", "new/a.txt", False),
        ("inbox/{folder}/{name}", "deployment/a.txt", True),
        ("inbox/{folder}/{name}", "a.txt", False),
    ],
)
def test_blob_pattern(path: str, name: str, matches: bool) -> None:
    """A parameter stands for any text, slashes included; everything else for itself."""
    container, pattern = blob_pattern(path)
    assert container == "inbox"
    assert (pattern.fullmatch(name) is not None) is matches


@pytest.mark.parametrize("path", ["inbox", "inbox/", "/{name}", ""])
def test_a_blob_path_needs_container_and_pattern(path: str) -> None:
    """A path that names no blobs is an error, not a trigger that never fires."""
    with pytest.raises(HostError, match="container"):
        blob_pattern(path)


@pytest.mark.parametrize(
    ("prefix", "route", "expected"),
    [
        ("api", "documents", "/api/documents"),
        ("api", "/documents/{id}/result", "/api/documents/{id}/result"),
        ("", "documents/{name}", "/documents/{name}"),
        ("api", "files/{*rest}", "/api/files/{rest:.*}"),
    ],
)
def test_route_templates(prefix: str, route: str, expected: str) -> None:
    """Azure's route templates become aiohttp's, below the prefix of host.json."""
    assert aiohttp_path(prefix, route) == expected


@pytest.mark.parametrize("route", ["documents/{id:guid}", "documents/{id?}", "documents/{id=new}"])
def test_a_route_that_is_not_modelled_is_refused(route: str) -> None:
    """A route that would match other requests than in Azure is an error."""
    with pytest.raises(HostError, match="models only"):
        aiohttp_path("api", route)


def test_settings_are_resolved(monkeypatch: pytest.MonkeyPatch) -> None:
    """%NAME% becomes the setting's value wherever it stands; a missing one is named."""
    monkeypatch.setenv("BOX", "inbox")
    assert resolve("%BOX%/{name}") == "inbox/{name}"
    with pytest.raises(HostError, match="set the setting SURELY_MISSING"):
        resolve("%BOX%/%SURELY_MISSING%")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, ("api", 300.0)),
        ("{}", ("api", 300.0)),
        ('{"functionTimeout": "01:02:03"}', ("api", 3723.0)),
        ('{"functionTimeout": "-1", "extensions": {"http": {"routePrefix": ""}}}', ("", None)),
    ],
)
def test_host_json(tmp_path: Path, content: str | None, expected: tuple[str, float | None]) -> None:
    """Prefix and time limit come from host.json, with Azure's defaults."""
    if content is not None:
        (tmp_path / "host.json").write_text(content)
    assert read_host_json(tmp_path) == expected


@pytest.mark.parametrize("content", ["{", "[]", '{"functionTimeout": "5"}', '{"functionTimeout": 300}'])
def test_a_broken_host_json_names_itself(tmp_path: Path, content: str) -> None:
    """The error names the file."""
    (tmp_path / "host.json").write_text(content)
    with pytest.raises(HostError, match=r"host\.json"):
        read_host_json(tmp_path)


def test_the_public_key_is_for_this_machine_only() -> None:
    """An account is read from an Azurite address; anything else is refused."""
    assert account_name("http://127.0.0.1:10000/devstoreaccount1") == "devstoreaccount1"
    for other in (
        "https://contoso.blob.core.windows.net",
        "http://10.0.0.1:10000/a",
        "http://127.0.0.1:10000",
    ):
        with pytest.raises(ValueError, match="not Azurite"):
            account_name(other)
