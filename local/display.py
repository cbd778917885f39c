"""The demonstration's output: a live table, then a report; only plain lines without a terminal."""

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from local.progress import FINAL, Snapshot, answer_text, plain
from local.scenarios import ALWAYS_ON, ASSUMPTIONS, Scenario, minutes_a_day, month_dollars, read_meter

_PLAIN_WIDTH = 110
_STYLES = {"ready": "green", "done": "green", "failed": "red", "creating": "yellow", "deleting": "yellow"}


def _console() -> Console:
    console = Console(markup=False, highlight=False, emoji=False)
    if not console.is_terminal:
        console.width = _PLAIN_WIDTH
    return console


class Display:
    """Prints the changes between snapshots as lines and, on a terminal, keeps a live table below them."""

    def __init__(self, scenarios: Sequence[Scenario], files: Sequence[str]) -> None:
        self._scenarios = scenarios
        self._files = files
        self._began = time.monotonic()
        self._console = _console()
        self._live = Live(console=self._console, auto_refresh=False, transient=True)

    def __enter__(self) -> "Display":
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def show(self, snapshot: Snapshot, changes: Iterable[tuple[str, str]]) -> None:
        """Print each change with the seconds since the start, and refresh the live table."""
        for name, event in changes:
            seconds = time.monotonic() - self._began
            self._console.print(Text(f"{seconds:4.0f} s  {name:<13} {event}"), soft_wrap=True)
        if self._console.is_terminal:
            self._live.update(self._table(snapshot), refresh=True)

    def _table(self, snapshot: Snapshot) -> Table:
        table = Table(title=f"{time.monotonic() - self._began:.0f} s", title_justify="left")
        for heading in ("scenario", "deployment", "documents", "hosted", "cost by the meter"):
            table.add_column(heading)
        for scenario in self._scenarios:
            deployment = snapshot.deployments.get(scenario.name)
            observed = deployment.observed if deployment else "absent"
            metered = read_meter(snapshot.bill, scenario)
            files = snapshot.files(scenario.name, self._files)
            table.add_row(
                Text(scenario.title),
                Text(plain(observed), style=_STYLES.get(observed, "")),
                Text(f"{snapshot.count(scenario.name, *FINAL)} of {len(files)}"),
                Text(f"{metered.hosted_seconds:.0f} s"),
                Text(f"${metered.dollars:.4f}"),
            )
        return table


def print_report(
    scenarios: Sequence[Scenario],
    files: Sequence[str],
    snapshot: Snapshot,
    results: Mapping[tuple[str, str], Mapping[str, Any]],
    folder: Path,
) -> None:
    """Print each document's answer or the reason for its absence, the meter's figures, and monthly costs."""
    console, shown = _console(), Path(os.path.relpath(folder))
    for scenario in scenarios:
        console.print(Text(f"\n{scenario.title} ({scenario.name})", style="bold"))
        for file in snapshot.files(scenario.name, files):
            result = results.get((scenario.name, file))
            outcome = _why_not(snapshot, scenario, file) if result is None else answer_text(result)
            line = Text(f"  {plain(file, 60)}: {outcome}", style="red" if result is None else "")
            console.print(line, soft_wrap=True)
    if results:
        console.print(Text(f"\nThe results, as stored: {shown / 'results'}"), soft_wrap=True)
    if any(
        (each.name, file) not in results for each in scenarios for file in snapshot.files(each.name, files)
    ):
        console.print(Text(f"\nWhat happened is in {shown / 'host.log'}"), soft_wrap=True)
    console.print(_costs(scenarios, snapshot))
    for assumption in ASSUMPTIONS:
        console.print(Text(f"  - {assumption}"), soft_wrap=True)
    left, sessions = snapshot.bill["open"], len(snapshot.bill["deployments"])
    text = f"\nDeployments, by the emulator's meter: {sessions} hosted, {left} left."
    console.print(Text(text, style="red" if left else "green"))


def _why_not(snapshot: Snapshot, scenario: Scenario, file: str) -> str:
    document = snapshot.documents.get((scenario.name, file))
    if document is None:
        return "NOT ANSWERED: the app never listed it"
    why = "its result cannot be read" if document.state == "done" else plain(document.reason)
    return f"NOT ANSWERED ({plain(document.state)}): {why or 'no reason was given'}"


def _costs(scenarios: Sequence[Scenario], snapshot: Snapshot) -> Table:
    table = Table(title="\nHosting by the meter, and the same pattern in a month", title_justify="left")
    for heading in (
        "scenario",
        "hosted here",
        "cost here",
        "in Azure a day",
        "a month",
        "always on",
        "saved",
    ):
        table.add_column(heading, justify="left" if heading == "scenario" else "right")
    months = []
    for scenario in scenarios:
        metered = read_meter(snapshot.bill, scenario)
        if metered.sessions == 0:
            table.add_row(scenario.title, "not hosted")
            continue
        months.append(month_dollars(scenario, metered))
        table.add_row(
            scenario.title,
            f"{metered.hosted_seconds / 60:.2f} min",
            f"${metered.dollars:.4f}",
            f"{minutes_a_day(scenario, metered)} min",
            *_against_always_on(months[-1], ALWAYS_ON),
        )
    if len(months) > 1:
        table.add_section()
        table.add_row("together", "", "", "", *_against_always_on(sum(months), ALWAYS_ON * len(months)))
    return table


def _against_always_on(dollars: float, always_on: float) -> tuple[str, str, str]:
    saved = always_on - dollars
    return f"${dollars:,.2f}", f"${always_on:,.2f}", f"${saved:,.2f} ({saved / always_on:.1%})"
