"""The local stack with workers: processes of their own for the functions with a queue trigger."""

import json
from pathlib import Path
from urllib.request import urlopen

import pytest

from local.stack import ROOT, Behaviour, StackError, run_host, run_services


def test_workers_run_the_functions_with_a_queue_trigger(tmp_path: Path) -> None:
    """The host runs all other functions. A worker that was killed is missed; all end with the stack."""

    def functions(url: str) -> set[str]:
        with urlopen(f"{url}/admin/host/status", timeout=30) as answer:
            return {function["name"] for function in json.load(answer)["functions"]}

    with (
        run_services(tmp_path, Behaviour()) as services,
        run_host(services, ROOT / "deployments.yaml", tmp_path, workers=2) as stack,
    ):
        addresses = [worker.wait_for_address() for worker in stack.workers]
        assert [functions(url) for url in addresses] == [{"drain_deployment"}] * 2
        assert {"queue_drains", "document_uploaded", "list_documents"} <= functions(stack.host_url)
        assert "drain_deployment" not in functions(stack.host_url)
        stack.check()
        stack.workers[1].process.kill()
        stack.workers[1].process.wait()
        with pytest.raises(StackError, match="the worker 2 ended with exit code -9"):
            stack.check()
    assert all(part.process.poll() is not None for part in stack.parts)
