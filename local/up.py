"""Run the local stack until Ctrl-C: ``python -m local.up`` (``dev.py up``)."""

import argparse
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from local.azurite import ACCOUNT_KEY, account_name
from local.deployments_file import TOPIC, accounts_in, own_settings, topic_setting
from local.emulator.options import Options
from local.lifetime import add_parent, run_command, stay_up
from local.stack import (
    ROOT,
    Behaviour,
    Services,
    Stack,
    UnusableFile,
    machine_environment,
    new_folder,
    run_host,
    run_services,
    storage_settings,
)


def describe(stack: Stack) -> str:
    """Describe a running stack: its addresses, how to submit a document, how to use the command line."""
    python, settings = (os.path.relpath(path) for path in (sys.executable, stack.settings_file))
    return f"""\
The functions   {stack.host_url}/api, key {stack.function_key}
{_describe_workers(stack)}\
{_describe_services(stack.services)}
Logs            {os.path.relpath(stack.host.log.parent)}

To put a document into the inbox (DEPLOYMENT: a name from deployments.yaml):
  {python} -m shared submit DEPLOYMENT FILE --settings {settings}
or, as inbox/DEPLOYMENT/NAME, with any program that writes blobs (docs/local.md has a command).

To submit a document and wait up to a minute for its answer by HTTP:
  curl -X POST -H 'x-functions-key: {stack.function_key}' -H 'Prefer: wait=60' \\
    -H 'Content-Type: application/octet-stream' --data-binary @FILE \\
    '{stack.host_url}/api/deployments/DEPLOYMENT/documents?name=NAME'

To look at it with the command line (status, explain NAME, preview, sessions, ...):
  {python} -m shared status --settings {settings}
"""


def _describe_workers(stack: Stack) -> str:
    count = len(stack.workers)
    return f"The workers     {count}, for the functions with a queue trigger\n" if count else ""


def _describe_services(services: Services) -> str:
    """Name the addresses of the services, what the bill counts, and how a program reaches the storage."""
    uri, price = services.azurite.blob_uri, Options.hosting_price
    return f"""\
The emulator    {services.emulator_url}
The bill        {services.emulator_url}/emulator/bill
                (at {price:.2f} dollars an hour, whatever prices deployments.yaml has)
Events          {services.emulator_url}/emulator/events?topic={TOPIC}
                (those for a receiver event_grid: ${{EVENT_TOPIC_ENDPOINT}})
The storage     {uri}, with Azurite's public key:
                {connection_string(uri)}"""


def connection_string(blob_uri: str) -> str:
    """Return what a program for blobs, such as Azure Storage Explorer, connects with. The key is public."""
    name = account_name(blob_uri)
    return (
        f"DefaultEndpointsProtocol=http;AccountName={name};AccountKey={ACCOUNT_KEY};BlobEndpoint={blob_uri};"
    )


def describe_services(services: Services) -> str:
    """Describe services that run without a host, and how to start one."""
    return f"""\
{_describe_services(services)}

To run the app on them: cp local.settings.sample.json local.settings.json, then func start.
"""


def check_file(deployments_file: Path, settings: Mapping[str, str]) -> None:
    """Raise UnusableFile with the app's own messages if it cannot use a deployments file."""
    command = [sys.executable, "-m", "shared", "validate", str(deployments_file)]
    environment = machine_environment() | dict(settings)
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, encoding="utf-8", check=False
    )
    if done.returncode:
        raise UnusableFile(done.stderr.strip() or done.stdout.strip())


def _up(deployments_file: Path, *, with_host: bool, workers: int) -> NoReturn:
    nowhere = "http://127.0.0.1/devstoreaccount1"  # the ports are not known yet
    storage = storage_settings(nowhere, nowhere, nowhere)
    check_file(deployments_file, own_settings(deployments_file) | storage | topic_setting(nowhere))
    folder, accounts = new_folder("up"), accounts_in(deployments_file)
    with run_services(folder, Behaviour(), accounts=accounts, standard_ports=not with_host) as services:
        if not with_host:
            print(describe_services(services))
            stay_up(services.emulator)
        with run_host(services, deployments_file, folder, workers=workers) as stack:
            print(describe(stack))
            stay_up(*stack.parts)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the stack until Ctrl-C; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m local.up", description=__doc__)
    parser.add_argument("file", type=Path, metavar="FILE", help="what to host: a deployments.yaml")
    parser.add_argument(
        "--no-host", action="store_true", help="only Azurite and the emulator, on standard ports"
    )
    parser.add_argument(
        "--workers",
        type=int,
        default=0,
        metavar="N",
        help="hosts of their own for functions with a queue trigger",
    )
    add_parent(parser)
    options = parser.parse_args(arguments)
    return run_command(
        options.parent, lambda: _up(options.file, with_host=not options.no_host, workers=options.workers)
    )


if __name__ == "__main__":
    sys.exit(main())
