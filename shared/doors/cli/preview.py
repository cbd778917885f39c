"""`preview`: the coming days as the schedule has them, and what they cost; or what another file changes."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from shared.doors.cli.exits import Exit
from shared.doors.cli.terminal import Terminal, bounds, clean, clock_time, table
from shared.errors import InvalidRequest, StorageError, UnknownDeployment
from shared.model import Settings
from shared.reports import preview as told
from shared.settings.bindings import STORAGE
from shared.settings.blob import PREFIX
from shared.settings.load import load

_SHOWN = 14
"""So many intervals of a deployment are shown as text."""


async def preview(
    options: argparse.Namespace, terminal: Terminal, environment: Mapping[str, str], now: datetime
) -> Exit:
    """Show the forecast; from the file alone, with a note, where the storage cannot be read.

    Raises SettingsError for either file, InvalidRequest, UnknownDeployment; StorageError where the
    configuration itself lies in the storage.
    """
    since, until = told.period(now, days=options.days, months=options.months)
    settings, records, problem = await _in_force(environment, now)
    files = [settings] if options.diff is None else [settings, load(options.diff, environment)]
    _check(files, options.deployment)
    document = told.previewed(settings, records, since, until, options.deployment)
    document["records_problem"] = problem
    if options.diff is None:
        terminal.show(document, _lines(document))
        return Exit.OK
    before, after = (
        told.forecasts(each, records, since, until, options.deployment) for each in reversed(files)
    )
    document["diff"] = {"before": str(options.diff), "changes": told.changed(before, after)}
    terminal.show(document, _diff_lines(document))
    return Exit.OK


async def _in_force(
    environment: Mapping[str, str], now: datetime
) -> tuple[Settings, told.Records, str | None]:
    """The configuration, the app's records if the settings name its storage, and why these were not read."""
    if all(environment.get(f"{STORAGE}__{each}ServiceUri") for each in ("blob", "table")):
        from shared.wiring import App  # it brings the SDKs, which the file alone does without

        app = App(environment)
        try:
            current = await app.current()
            try:
                return current.settings, await told.read_records(current, now), None
            except StorageError as error:
                return current.settings, {}, str(error)
        finally:
            await app.close()
    place = environment.get("DEPLOYMENTS_FILE") or "deployments.yaml"
    if place.startswith(PREFIX):
        raise InvalidRequest(
            f"DEPLOYMENTS_FILE is {place}: name its storage, too, in {STORAGE}__blobServiceUri and "
            f"{STORAGE}__tableServiceUri"
        )
    return load(Path(place), environment), {}, None


def _check(files: Sequence[Settings], only: str | None) -> None:
    known = told.names(*files)
    if only is not None and only.lower() not in (name.lower() for name in known):
        raise UnknownDeployment(only, known)
    currencies = {each.prices.currency for each in files}
    if len(currencies) > 1:
        raise InvalidRequest(f"the two files have different currencies ({', '.join(sorted(currencies))})")


def _lines(document: dict[str, Any]) -> Iterator[str]:
    yield from _heading(document)
    figures = ("CERTAIN", "BATCH, UP TO", "UPLOADS", "ALWAYS ON", f"SAVED {document['currency']}")
    yield from table(
        ("DEPLOYMENT", "COST CENTER", *figures),
        (
            (
                each["deployment"] + (" (observe)" if each["mode"] == "observe" else ""),
                each["cost_center"] or "-",
                *_cells(each),
            )
            for each in document["deployments"]
        ),
    )
    centers = document["cost_centers"]
    if len(centers) > 1:
        rows = [(each["cost_center"] or "-", *_cells(each)) for each in centers]
        yield ""
        yield from table(("COST CENTER", *figures), [*rows, ("together", *_cells(document["total"]))])
    for each in document["deployments"]:
        yield from _schedule_lines(each)
    advice = [
        f"{each['deployment']}: {one['text']}." for each in document["deployments"] for one in each["advice"]
    ]
    if advice:
        yield from ("", "Advice", *(f"  {text}" for text in advice))
    yield ""
    yield from document["notes"]


def _heading(document: dict[str, Any]) -> Iterator[str]:
    source = "" if document["records_known"] else ", from the file alone: holds and the past are not known"
    yield f"{clock_time(document['since'])} to {clock_time(document['until'])} UTC{source}"
    if problem := document["records_problem"]:
        yield clean(f"The storage could not be read: {problem}")
    yield ""


def _cells(each: dict[str, Any]) -> tuple[str, ...]:
    """The figures; what uploads cost that nothing tells of is missing in the saving."""
    certain, batch, uploads, always_on = (
        _figure(each[key]) for key in ("certain", "batch_at_most", "uploads", "always_on")
    )
    saved = bounds(each["saving_at_least"], each["saving_at_most"])
    if each["not_forecast"]:
        uploads = "not forecast" if uploads == "-" else f"{uploads} and more"
        saved = f"up to {each['saving_at_most']:.2f}"
    return certain, batch, uploads, always_on, saved


def _figure(figure: dict[str, float]) -> str:
    return f"{figure['hours']:.2f} h {figure['cost']:.2f}" if figure["hours"] else "-"


def _schedule_lines(each: dict[str, Any]) -> Iterator[str]:
    yield ""
    price = f"{each['sku']} at {each['price_per_hour']:.2f} an hour"
    yield f"{each['deployment']}: {price}, times in {each['time_zone']}"
    if hold := each["hold"]:
        who = clean(f"{hold['owner']}: {hold['reason']}")
        yield f"  held {hold['way']} until {clock_time(hold['until'])} UTC by {who}"
    yield from _interval_lines(each["intervals"], kept=each["kept_until"] is not None)
    for mark in each["marks"]:
        at = datetime.fromisoformat(mark["local"])
        yield clean(f"  {at:%a %Y-%m-%d %H:%M} {mark['kind']}: {mark['text']}")
    yield f"  uploads: {each['uploads_told']}"


def _interval_lines(
    intervals: Sequence[dict[str, Any]], sign: str = " ", *, kept: bool = False
) -> Iterator[str]:
    possible = "  up to: while documents wait" + (" or capacity is scarce" if kept else "")
    for each in intervals[:_SHOWN]:
        what = "" if each["certain"] else possible
        yield f"{sign} {_times(each)}{what}"
    if left := len(intervals[_SHOWN:]):
        yield f"{sign} and {left} more to {clock_time(intervals[-1]['end'])} UTC: --json tells them all"


def _times(each: dict[str, Any]) -> str:
    """Local, and in UTC."""
    start, end = (datetime.fromisoformat(each[f"local_{edge}"]) for edge in ("start", "end"))
    local = f"{start:%a %Y-%m-%d %H:%M} to {end:%a %H:%M}"
    if end - start > timedelta(days=6):
        local = f"{start:%a %Y-%m-%d %H:%M} to {end:%a %Y-%m-%d %H:%M}"
    start, end = (datetime.fromisoformat(each[edge]) for edge in ("start", "end"))
    length = (end - start) / timedelta(hours=1)
    return f"{local}  {start:%a %H:%M} to {end:%a %H:%M} UTC  {length:5.2f} h"


def _diff_lines(document: dict[str, Any]) -> Iterator[str]:
    yield from _heading(document)
    diff, currency = document["diff"], document["currency"]
    if not diff["changes"]:
        yield f"Nothing changes against {diff['before']}."
    else:
        yield from table(
            ("DEPLOYMENT", "HOURS", "AT MOST", f"COST {currency}", "AT MOST"),
            (
                (
                    each["deployment"]
                    + ("" if each["before"] else " (new)")
                    + ("" if each["after"] else " (removed)"),
                    _signed(each["certain"]["hours"]),
                    _signed(each["at_most"]["hours"]),
                    _signed(each["certain"]["cost"]),
                    _signed(each["at_most"]["cost"]),
                )
                for each in diff["changes"]
            ),
        )
    for each in diff["changes"]:
        if each["appears"] or each["vanishes"]:
            yield from ("", each["deployment"])
            yield from _interval_lines(each["appears"], "+")
            yield from _interval_lines(each["vanishes"], "-")
    yield ""
    yield from document["notes"]


def _signed(amount: float) -> str:
    return f"{amount:+.2f}" if round(amount, 2) else "0"
