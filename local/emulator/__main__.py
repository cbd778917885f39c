"""The emulator's command line: `python -m local.emulator`."""

import argparse
import asyncio
import inspect
import os
import signal
import sys
from collections.abc import Sequence

from local.emulator.faults import Fault
from local.emulator.server import Options, emulator

_DESCRIPTION = """\
Emulates Azure Resource Manager for the deployments of Azure OpenAI accounts, the data plane of the accounts,
and Event Grid topics, on one port of 127.0.0.1. Prints one line with its URL when it is ready; SIGINT or
SIGTERM stops it.

  /subscriptions/...                            ARM: PUT, GET, LIST, DELETE of deployments; GET of an account,
                                                its models (from their first deployment on), quotas,
                                                and the capacity left in the region for a model
  /ACCOUNT/openai/v1/chat/completions           chat completions; the model is the name of a deployment
  /ACCOUNT/openai/deployments/NAME/chat/completions?api-version=...   the same, on the classic path
  /ACCOUNT/openai/v1/embeddings                 embeddings, of a deployment of a text-embedding model; also
                                                on the classic path
  POST /topics/NAME/api/events?api-version=2018-01-01   CloudEvents for a topic, which need not exist before
  GET /emulator/events?topic=NAME               the events that it got
  GET /emulator/bill                            hosting with times and costs; calls, requests, and calls
                                                that a client's transport repeated
  GET /emulator/admissions?deployment=NAME      when requests passed the limits, the tokens charged,
                                                and the SHA-256 of the document (the last user
                                                message), or of the texts that are embedded
  POST, GET, DELETE /emulator/faults            add faults, list how often they fired, remove them
                                                (the error for an unknown key lists the valid keys)
  POST /emulator/limits                         multiply the limits of a deployment from now on, without a
                                                change of its capacity: {"deployment": "NAME", "share": 0.5}
  POST /emulator/accounts/ACCOUNT/endpoint      delete the account and create it again, without deployments,
                                                under another subdomain: {"subdomain": "NAME"}
  GET /emulator/health                          200 when the emulator is ready

A prompt that contains [[content_filter]] triggers the content filter. As in Azure, models differ in their
parameters: gpt-35 takes max_tokens only; o1, o3, o4 and gpt-5 take max_completion_tokens only, and not a tiny
one; o1-mini takes no system message.

A fault, as JSON, names the calls that it applies to and one effect; it applies to `count` calls (default 1):

"""

_WHICH_CALLS = (
    "`plane`: arm, data or events; `operation`: put, delete, list, get, models, usages, capacities;",
    "of data: chat, embeddings; of events: publish.",
)


def _faults() -> str:
    """Return the keys of a fault, from the docstring of Fault."""
    lines = inspect.cleandoc(Fault.__doc__ or "").splitlines()[2:]
    return "".join(f"  {line}".rstrip() + "\n" for line in (*_WHICH_CALLS, *lines))


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line; the defaults are those of Options."""
    result = argparse.ArgumentParser(
        "python -m local.emulator",
        description=_DESCRIPTION + _faults(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )

    def option(name: str, kind: type, metavar: str, explanation: str) -> None:
        default = getattr(Options, name.replace("-", "_"))
        shown = "" if default is None else f" (default {default})"
        result.add_argument(
            f"--{name}", type=kind, default=default, metavar=metavar, help=explanation + shown
        )

    def choice(name: str, choices: Sequence[str], explanation: str) -> None:
        default = getattr(Options, name.replace("-", "_"))
        result.add_argument(
            f"--{name}", choices=choices, default=default, help=f"{explanation} (default {default})"
        )

    result.add_argument(
        "--account",
        action="append",
        required=True,
        metavar="RESOURCE_ID",
        help="ARM resource id of an account; repeat it for several accounts",
    )
    option("port", int, "PORT", "0 takes a free port")
    option("seed", int, "N", "seed of the provisioning times: the same seed gives the same times")
    option("provision-median", float, "S", "median seconds from PUT to Succeeded, lognormal")
    option("provision-p95", float, "S", "its 95th percentile; if equal to the median, it is constant")
    option("delete-seconds", float, "S", "seconds from DELETE until the deployment is gone")
    option("warmup-seconds", float, "S", "seconds from Succeeded until requests get answers instead of 404")
    choice(
        "serialise-until",
        ("terminal", "accepted"),
        "how long a write blocks others on its account (409)",
    )
    option("quota", int, "N", "of each SKU and model in a subscription, in thousands of tokens per minute")
    option("slots", int, "N", "fine-tuned deployments that an account may have")
    option("page-size", int, "N", "deployments, models or quotas on a page of LIST")
    option(
        "latency-seconds", float, "S", "seconds until a request is answered; their median if a p95 is given"
    )
    option("latency-p95", float, "S", "their 95th percentile, lognormal; otherwise they are constant")
    option("context-tokens", int, "N", "context length: tokens of prompt and answer together")
    choice("context-size", ("present", "absent"), "whether models and deployments show it, as some do not")
    option("request-window", int, "S", "1, 10 or 60: requests per minute also hold over this many seconds")
    option("token-window", int, "S", "the same for tokens per minute")
    choice("limit-window", ("fixed", "sliding"), "a window begins with its first request, or slides")
    choice("refused-requests", ("counted", "free"), "whether a request that gets a 429 counts as a request")
    choice("limit-headers", ("present", "absent", "wrong"), "rate limit headers, and Retry-After, of answers")
    option("minute-seconds", float, "S", "length of a minute of the limits; shorter windows are scaled alike")
    option("hosting-price", float, "DOLLARS", "per hour of a fine-tuned deployment; DeveloperTier has no fee")
    choice("billing-unit", ("second", "minute", "hour"), "hosting is billed in started units of this length")
    choice("billing-starts", ("create", "ready"), "billing starts at the PUT or at the first answer")
    option(
        "upstream",
        str,
        "URL",
        "forward to this OpenAI-compatible server (base URL with its /v1; the key is UPSTREAM_API_KEY)",
    )
    option("upstream-model", str, "NAME", "the model to request there")
    return result


async def serve(options: Options) -> None:
    """Run the emulator until a signal stops it."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    # Not loop.add_signal_handler, which Windows lacks; SIGBREAK exists there only.
    for name in ("SIGINT", "SIGTERM", "SIGBREAK"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), lambda *_: loop.call_soon_threadsafe(stop.set))
    async with emulator(options) as running:
        print(f"The emulator is ready at {running.url}", flush=True)
        await stop.wait()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the emulator; return the exit code."""
    command = parser()
    given = vars(command.parse_args(arguments))
    accounts = tuple(given.pop("account"))
    try:
        options = Options(accounts=accounts, upstream_key=os.environ.get("UPSTREAM_API_KEY"), **given)
    except ValueError as error:
        command.error(str(error))
    try:
        asyncio.run(serve(options))
    except OSError as error:
        print(
            f"Port {options.port} cannot be opened ({error.strerror}): choose another with --port.",
            file=sys.stderr,
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
