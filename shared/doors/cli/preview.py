"""`preview`: forecast the coming days and their cost, or show what a change of the file changes."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from shared.doors.cli.exits import Exit
from shared.doors.cli.terminal import Terminal, bounds, clean, clock_time, table
from shared.errors import InvalidRequest, StorageError, UnknownDeployment
from shared.model import Mode, Settings
from shared.reports.as_json import to_json
from shared.reports.preview import Records, changed, forecasts, names, period, previewed, read_records
from shared.reports.preview_document import (
    Amount,
    ChangeReport,
    DeploymentPreview,
    Interval,
    PreviewReport,
    Sum,
)
from shared.settings.bindings import STORAGE
from shared.settings.blob import PREFIX
from shared.settings.load import load

_SHOWN = 14
"""The number of a deployment's intervals that are shown as text."""


async def preview(
    options: argparse.Namespace, terminal: Terminal, environment: Mapping[str, str], now: datetime
) -> Exit:
    """Show the forecast. If the storage cannot be read, it comes from the file alone, with a note.

    Raises SettingsError for either file, InvalidRequest, UnknownDeployment; StorageError if the
    configuration itself is in the storage.
    """
    since, until = period(now, days=options.days, months=options.months)
    settings, records, problem = await _in_force(environment, now)
    files = [settings] if options.diff is None else [settings, load(options.diff, environment, "--diff")]
    _check(files, options.deployment)
    report = previewed(settings, records, since, until, options.deployment)
    document = to_json(report) | {"records_problem": problem}
    if options.diff is None:
        terminal.show(document, _lines(report, settings, problem))
        return Exit.OK
    before, after = (forecasts(each, records, since, until, options.deployment) for each in reversed(files))
    changes = changed(before, after)
    document["diff"] = {"before": str(options.diff), "changes": to_json(changes)}
    terminal.show(document, _diff_lines(report, problem, options.diff, changes))
    return Exit.OK


async def _in_force(environment: Mapping[str, str], now: datetime) -> tuple[Settings, Records, str | None]:
    """Return the configuration, the app's records, and why these cannot be read.

    There are no records, and no reason, if the settings do not name the storage.
    """
    if all(environment.get(f"{STORAGE}__{each}ServiceUri") for each in ("blob", "table")):
        from shared.wiring import App  # this imports the SDKs, which the file alone does not need

        app = App(environment)
        try:
            current = await app.current()
            try:
                return current.settings, await read_records(current, now), None
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
    known = names(*files)
    if only is not None and only.lower() not in (name.lower() for name in known):
        raise UnknownDeployment(only, known)
    currencies = {each.prices.currency for each in files}
    if len(currencies) > 1:
        raise InvalidRequest(f"the two files have different currencies ({', '.join(sorted(currencies))})")


def _lines(report: PreviewReport, settings: Settings, problem: str | None) -> Iterator[str]:
    yield from _heading(report, problem)
    figures = ("CERTAIN", "BATCH, UP TO", "UPLOADS", "ALWAYS ON", f"SAVED {report.currency}")
    yield from table(
        ("DEPLOYMENT", "COST CENTER", *figures),
        (
            (
                each.deployment + (" (observe)" if each.mode is Mode.OBSERVE else ""),
                each.cost_center or "-",
                *_cells(each.sum),
            )
            for each in report.deployments
        ),
    )
    centers = report.cost_centers
    if len(centers) > 1:
        rows = [(each.cost_center or "-", *_cells(each.sum)) for each in centers]
        yield ""
        yield from table(("COST CENTER", *figures), [*rows, ("together", *_cells(report.total))])
    for each in report.deployments:
        yield from _schedule_lines(each, always=settings.deployments[each.deployment].always)
    advice = [f"{each.deployment}: {one.text}." for each in report.deployments for one in each.advice]
    if advice:
        yield from ("", "Advice", *(f"  {text}" for text in advice))
    yield ""
    yield from report.notes


def _heading(report: PreviewReport, problem: str | None) -> Iterator[str]:
    source = "" if report.records_known else ", from the file alone: holds and the past are not known"
    yield f"{clock_time(report.since)} to {clock_time(report.until)} UTC{source}"
    if problem:
        yield clean(f"The storage could not be read: {problem}")
    yield ""


def _cells(of: Sum) -> tuple[str, ...]:
    """Return the figures; the saving does not include uploads that cannot be forecast."""
    figures = of.figures
    uploads = _figure(figures.uploads)
    saved = bounds(figures.saving_at_least, figures.saving_at_most)
    if of.not_forecast:
        uploads = "not forecast" if uploads == "-" else f"{uploads} and more"
        saved = f"up to {figures.saving_at_most:.2f}"
    certain, batch = _figure(figures.certain), _figure(figures.batch_at_most)
    return certain, batch, uploads, _figure(figures.always_on), saved


def _figure(of: Amount) -> str:
    return f"{of.hours:.2f} h {of.cost:.2f}" if of.hours else "-"


def _schedule_lines(of: DeploymentPreview, *, always: bool) -> Iterator[str]:
    yield ""
    price = f"{of.sku} at {of.price_per_hour:.2f} an hour"
    unbroken = always and of.sum.figures.certain == of.sum.figures.always_on
    yield f"{of.deployment}: {price}, {'round the clock' if unbroken else f'times in {of.time_zone}'}"
    if hold := of.hold:
        who = clean(f"{hold.owner}: {hold.reason}")
        yield f"  held {hold.way} until {clock_time(hold.until)} UTC by {who}"
    if not unbroken:
        yield from _interval_lines(of.intervals, kept=of.kept_until is not None)
    for mark in of.marks:
        yield clean(f"  {mark.local:%a %Y-%m-%d %H:%M} {mark.kind}: {mark.text}")
    yield f"  uploads: {of.uploads_told}"


def _interval_lines(intervals: Sequence[Interval], sign: str = " ", *, kept: bool = False) -> Iterator[str]:
    possible = "  up to: while documents wait" + (" or capacity is scarce" if kept else "")
    for each in intervals[:_SHOWN]:
        what = "" if each.certain else possible
        yield f"{sign} {_times(each)}{what}"
    if left := len(intervals[_SHOWN:]):
        yield f"{sign} and {left} more to {clock_time(intervals[-1].end)} UTC: --json tells them all"


def _times(of: Interval) -> str:
    """Return the times, local and in UTC."""
    end = "%a %Y-%m-%d %H:%M" if of.end - of.start > timedelta(days=6) else "%a %H:%M"
    local = f"{of.local_start:%a %Y-%m-%d %H:%M} to {of.local_end:{end}}"
    length = (of.end - of.start) / timedelta(hours=1)
    return f"{local}  {of.start:%a %H:%M} to {of.end:%a %H:%M} UTC  {length:5.2f} h"


def _diff_lines(
    report: PreviewReport, problem: str | None, before: Path, changes: Sequence[ChangeReport]
) -> Iterator[str]:
    yield from _heading(report, problem)
    if not changes:
        yield f"Nothing changes against {before}."
    else:
        yield from table(
            ("DEPLOYMENT", "HOURS", "AT MOST", f"COST {report.currency}", "AT MOST"),
            (
                (
                    f"{each.deployment}{'' if each.before else ' (new)'}{'' if each.after else ' (removed)'}",
                    _signed(each.certain.hours),
                    _signed(each.at_most.hours),
                    _signed(each.certain.cost),
                    _signed(each.at_most.cost),
                )
                for each in changes
            ),
        )
    for each in changes:
        if each.appears or each.vanishes:
            yield from ("", each.deployment)
            yield from _interval_lines(each.appears, "+")
            yield from _interval_lines(each.vanishes, "-")
    yield ""
    yield from report.notes


def _signed(amount: float) -> str:
    return f"{amount:+.2f}" if round(amount, 2) else "0"
