"""Preview the coming days for the API and for `preview`, with the forecasts of `money.forecast`.

From the file alone, or with the app's records: holds, adopted properties, and the recent past.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from shared.app import Lamplighter
from shared.model import (
    DeploymentConfig,
    DeploymentRecord,
    Hold,
    HostedId,
    HostingSession,
    Settings,
    UploadStart,
    WeeklyWindow,
)
from shared.money.advice import advise
from shared.money.forecast import (
    RECENT,
    Change,
    Figure,
    Figures,
    Forecast,
    Subject,
    compare,
    forecast,
    summed,
)
from shared.money.spans import Planned, Span
from shared.planning.adoption import to_create
from shared.planning.desired import clock_time
from shared.planning.picture import Picture, configured_on
from shared.reports.preview_document import (
    AdviceReport,
    Amount,
    ChangeReport,
    CostCenterPreview,
    DeploymentPreview,
    Interval,
    MarkReport,
    PlannedFigures,
    PreviewReport,
    Sum,
)
from shared.reports.status import hold_report
from shared.schedule.clocks import clock_changes
from shared.schedule.marks import Special, marks
from shared.timing import TIMING

MOST_DAYS = 366
USUAL_DAYS = 7
NOTES = (
    "Figures and savings (always-on minus what is planned) are estimates from your prices, not a bill.",
    "What tokens cost is the same either way and is not counted; nor is what the app itself costs.",
)

_MANY = 1000  # documents of one deployment that are read
_LONGEST_BEFORE = timedelta(days=7)  # documents that arrived so long before RECENT may be answered in it


@dataclass(frozen=True)
class Known:
    """The records of a deployment that a forecast needs."""

    record: DeploymentRecord
    hold: Hold | None = None
    sessions: tuple[HostingSession, ...] | None = None
    asked: tuple[datetime, ...] | None = None


Records = Mapping[HostedId, Known]
"""By account and deployment; empty if there is only the file."""


async def read_records(app: Lamplighter, now: datetime) -> Records:
    """Return the records of every configured deployment. Reads tables only. Raises StorageError."""
    ledger, since = app.context.ledger, now - RECENT
    pictures = {key: await app.picture(key, demand_of=()) for key in app.settings.accounts}
    found = {}
    for name, config in app.settings.deployments.items():
        picture = pictures[config.account]
        record = picture.record(name)
        sessions = await ledger.sessions_since(record, since)
        found[config.hosted_id] = Known(
            record=record,
            hold=picture.holds.get(name),
            sessions=tuple(each for each in sessions if each.likely_end is None or each.likely_end > since),
            asked=await app.documents.asked(name, since - _LONGEST_BEFORE, _MANY),
        )
    return found


def forecasts(
    settings: Settings, records: Records, since: datetime, until: datetime, only: str | None = None
) -> list[Forecast]:
    """Return the forecasts of all deployments in the file, or of one, whose name may have any case."""
    pictures = {key: _picture(key, settings, records, since) for key in settings.accounts}
    # From the start of the recent past: its windows need leads, too.
    leads = {key: picture.leads(since - RECENT, until) for key, picture in pictures.items()}
    found = []
    for name, config in settings.deployments.items():
        if only is None or name.lower() == only.lower():
            known, picture = records.get(config.hosted_id), pictures[config.account]
            adopted = picture.record(name).history.adopted
            subject = Subject(
                config=config,
                account=settings.accounts[config.account].name,
                leads=leads[config.account][name],
                sku=to_create(config.spec, adopt=config.adopt, adopted=adopted).sku,
                prices=settings.prices,
                hold=picture.holds.get(name),
                sessions=known.sessions if known else None,
                asked=known.asked if known else None,
                kept_until=_kept_until(picture, name, until),
            )
            found.append(forecast(subject, since, until))
    return found


def _picture(account: str, settings: Settings, records: Records, now: datetime) -> Picture:
    known = {of.deployment: each for of, each in records.items() if of.placement == account}
    return Picture(
        account,
        now,
        configured_on(account, settings.deployments),
        settings.prices,
        records={name: each.record for name, each in known.items()},
        holds={name: each.hold for name, each in known.items() if each.hold is not None},
    )


def _kept_until(picture: Picture, name: str, until: datetime) -> datetime | None:
    """Return how long a deployment may stay that is kept because capacity is scarce; None if it is not kept.

    The limit is the end of its longest session."""
    if not picture.wanted(name).scarce:
        return None
    deadline = picture.record(name).generation.delete_after
    return until if deadline is None else min(until, deadline - TIMING.session_margin)


def previewed(
    settings: Settings, records: Records, since: datetime, until: datetime, only: str | None = None
) -> PreviewReport:
    """Return hours and cost of each deployment and cost center in [since, until), compared with always-on."""
    found = forecasts(settings, records, since, until, only)
    centers: dict[str | None, list[Forecast]] = {}
    for each in found:
        centers.setdefault(each.subject.config.cost_center, []).append(each)
    return PreviewReport(
        since=since,
        until=until,
        currency=settings.prices.currency,
        records_known=bool(records),
        deployments=[_deployment(each) for each in found],
        cost_centers=[CostCenterPreview(name, _sum(each)) for name, each in centers.items()],
        total=_sum(found),
        notes=[*NOTES, *_without_a_price(found), *_kept(found)],
    )


def _without_a_price(found: Sequence[Forecast]) -> list[str]:
    """Return a note for each SKU without a price: an adopted deployment may have a SKU of its own."""
    prices = {each.subject.sku: each.subject.prices.hosting_per_hour for each in found}
    return [
        f"prices.hosting_per_hour has no {sku}: it is counted as free."
        for sku, known in prices.items()
        if sku not in known
    ]


def _kept(found: Sequence[Forecast]) -> list[str]:
    return [
        f"{each.subject.config.name} is kept as capacity is scarce (keep_if_scarce): what that may add until "
        f"{clock_time(each.subject.kept_until)} is counted like a batch window, at most."
        for each in found
        if each.subject.kept_until is not None
    ]


def changed(before: Sequence[Forecast], after: Sequence[Forecast]) -> list[ChangeReport]:
    """Return the changes between two files, for each deployment that changes."""
    found = []
    for each in compare(before, after):
        change = ChangeReport(
            deployment=each.deployment,
            before=_figures(each.before.figures) if each.before else None,
            after=_figures(each.after.figures) if each.after else None,
            certain=_amount(each.certain),
            at_most=_amount(each.most),
            appears=_plan(each.appears, _zone_of(each)),
            vanishes=_plan(each.vanishes, _zone_of(each)),
        )
        if change.before != change.after or change.appears or change.vanishes:
            found.append(change)
    return found


def _zone_of(change: Change) -> str:
    side = change.after or change.before
    return time_zone(side.subject.config) if side else "UTC"


def time_zone(config: DeploymentConfig) -> str:
    """Return the time zone of its schedule: its first weekly window's, else UTC."""
    return next((each.time_zone for each in config.windows if isinstance(each, WeeklyWindow)), "UTC")


def _deployment(of: Forecast) -> DeploymentPreview:
    subject = of.subject
    config, zone = subject.config, time_zone(subject.config)
    currency = subject.prices.currency
    return DeploymentPreview(
        deployment=config.name,
        account=subject.account,
        cost_center=config.cost_center,
        sku=subject.sku,
        price_per_hour=subject.price,
        mode=config.mode,
        time_zone=zone,
        hold=hold_report(subject.hold) if subject.hold else None,
        kept_until=subject.kept_until,
        sum=_sum([of]),
        uploads_told=_uploads(of),
        intervals=_plan(of.plan, zone),
        marks=_marks(of, zone),
        advice=[AdviceReport(each.name, round(each.saves, 4), currency, each.text) for each in advise(of)],
    )


def _sum(forecasts: Sequence[Forecast]) -> Sum:
    missing = [each.subject.config.name for each in forecasts if _unknown(each)]
    return Sum(_figures(summed(forecasts)), missing)


def _figures(figures: Figures) -> PlannedFigures:
    always_on = figures.always_on
    return PlannedFigures(
        certain=_amount(figures.certain),
        batch_at_most=_amount(figures.possible),
        uploads=_amount(figures.uploads),
        always_on=_amount(always_on),
        saving_at_least=round(always_on.minus(figures.most).cost, 4),
        saving_at_most=round(always_on.minus(figures.certain).cost, 4),
    )


def _amount(figure: Figure) -> Amount:
    return Amount(round(figure.hours, 4), round(figure.cost, 4))


def _unknown(of: Forecast) -> bool:
    config = of.subject.config
    return of.uploads is None and config.uploads is UploadStart.ON_DEMAND and not config.always


def _uploads(of: Forecast) -> str:
    if of.subject.config.always:
        return "documents are answered at once, unless it is held down"
    if of.subject.config.uploads is UploadStart.SCHEDULED:
        return "documents wait for a window"
    if of.uploads is not None:
        return (
            f"{of.uploads.hours_a_day:.2f} h a day: the average of {of.uploads.sessions} session(s) outside "
            f"of windows over the last {RECENT.days} days, holds included"
        )
    if of.subject.sessions is None:
        return "not forecast: the past is not known from the file alone"
    return f"not forecast: there was no session outside of windows in the last {RECENT.days} days"


def _plan(plan: Planned, zone: str) -> list[Interval]:
    spans = [*((each, True) for each in plan.certain), *((each, False) for each in plan.possible)]
    return [_interval(span, certain, ZoneInfo(zone)) for span, certain in sorted(spans)]


def _interval(span: Span, certain: bool, zone: ZoneInfo) -> Interval:
    local_start, local_end = span.start.astimezone(zone), span.end.astimezone(zone)
    return Interval(span.start, span.end, local_start, local_end, certain)


def _marks(of: Forecast, zone: str) -> list[MarkReport]:
    """Return holidays, named dates, closures, and every change of the clocks, in order."""
    config = of.subject.config
    found = marks(config.windows, of.since, of.until, config.closures)
    reports = [MarkReport(each.at, each.local, each.kind, each.what) for each in found]
    known = {each.at for each in found if each.kind is Special.CLOCKS}
    for change in clock_changes(zone, of.since, of.until) if config.windows else ():
        if change.at not in known:
            # No window is open then, but all later windows are at another time in UTC.
            way, by = ("forward", change.by) if change.by > timedelta(0) else ("back", -change.by)
            local = change.at.astimezone(ZoneInfo(zone))
            reports.append(MarkReport(change.at, local, Special.CLOCKS, f"the clocks go {way} by {by}"))
    return sorted(reports, key=lambda each: each.at)


def period(now: datetime, *, days: int | None = None, months: int | None = None) -> tuple[datetime, datetime]:
    """Return the period from this minute on: `days` long, or to the same day of the month `months` later."""
    since = now.astimezone(UTC).replace(second=0, microsecond=0)
    if months is None:
        return since, since + timedelta(days=days or USUAL_DAYS)
    whole, month = divmod(since.month - 1 + months, 12)
    for day in (since.day, 30, 29, 28):
        try:
            return since, since.replace(year=since.year + whole, month=month + 1, day=min(day, since.day))
        except ValueError:
            continue  # the month has no such day: try an earlier one
    raise AssertionError("every month has 28 days")


def names(*settings: Settings) -> list[str]:
    """Return the names of the deployments of one or several files."""
    return list(dict.fromkeys(name for each in settings for name in each.deployments))
