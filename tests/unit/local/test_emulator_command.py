"""The emulator as a process of its own, and its options."""

import asyncio
import json
import signal
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest
from emulator_clients import ACCOUNT, ACCOUNT_ID

from local.emulator.server import Options, emulator

ROOT = Path(__file__).parents[3]


async def command(*arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "local.emulator",
        *arguments,
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


@pytest.mark.skipif(sys.platform == "win32", reason="a process cannot be sent SIGTERM there")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_prints_its_url_answers_and_stops_on_a_signal(number):
    """One line when it is ready; after the signal it exits with 0, having said nothing else."""
    process = await command("--account", ACCOUNT_ID)
    try:
        assert process.stdout is not None
        line = (await asyncio.wait_for(process.stdout.readline(), 30)).decode()
        url = line.split()[-1]
        assert line == f"The emulator is ready at {url}\n"
        bill = await asyncio.to_thread(lambda: json.load(urlopen(f"{url}/emulator/bill", timeout=10)))
        assert list(bill["arm_calls"]) == [ACCOUNT]
        process.send_signal(number)
        out, err = await asyncio.wait_for(process.communicate(), 30)
        assert (process.returncode, out, err) == (0, b"", b"")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_a_port_that_is_taken_is_named_with_the_remedy():
    """Exit 1 and one line, no traceback."""
    async with emulator(Options(accounts=(ACCOUNT_ID,))) as running:
        process = await command("--account", ACCOUNT_ID, "--port", running.url.rpartition(":")[2])
        _, err = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 1
    assert err.decode().count("\n") == 1
    assert "choose another with --port" in err.decode()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"accounts": ()}, "no account"),
        ({"accounts": ("contoso",)}, "not the resource id of an account"),
        ({"accounts": (ACCOUNT_ID, ACCOUNT_ID.upper())}, "share a name"),
        ({"accounts": (ACCOUNT_ID.replace(ACCOUNT, "Emulator"),)}, "cannot be named"),
        ({"provision_median": 10.0, "provision_p95": 9.0}, "provisioning"),
        ({"provision_median": 0.0, "provision_p95": 9.0}, "provisioning"),
        ({"provision_median": float("nan")}, "provisioning"),
        ({"delete_seconds": -1.0}, "delete_seconds"),
        ({"page_size": 0}, "page_size"),
        ({"request_window": 5}, "request_window"),
        ({"token_window": 5}, "token_window"),
        ({"minute_seconds": 0.0}, "minute_seconds"),
        ({"latency_seconds": 0.2, "latency_p95": 0.1}, "latency_p95"),
        ({"port": 70_000}, "port"),
        ({"upstream": "http://127.0.0.1:1/v1"}, "upstream_model"),
    ],
)
def test_options_that_cannot_be_emulated_are_refused_by_name(options, reason):
    """At the start, not at the first request."""
    with pytest.raises(ValueError, match=reason):
        Options(**{"accounts": (ACCOUNT_ID,), **options})


def test_the_key_for_upstream_is_never_shown():
    """Options may be logged."""
    options = Options(
        accounts=(ACCOUNT_ID,), upstream="http://h/v1", upstream_model="m", upstream_key="do-not-show"
    )
    assert "do-not-show" not in repr(options)
