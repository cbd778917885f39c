"""The preview's data for JSON and the command line. Hours and money are rounded to four decimals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from shared.model import Mode
from shared.reports.as_json import FLAT
from shared.reports.status import HoldReport
from shared.schedule.marks import Special


@dataclass(frozen=True)
class Amount:
    """Hours of hosting, and their cost."""

    hours: float
    cost: float


@dataclass(frozen=True)
class PlannedFigures:
    """The planned hosting, compared with always-on.

    `saving_at_least` counts batch windows as full, and uploads as in the recent past.
    """

    certain: Amount
    batch_at_most: Amount
    uploads: Amount
    always_on: Amount
    saving_at_least: float
    saving_at_most: float


@dataclass(frozen=True)
class Sum:
    """The sum of one or several deployments. `not_forecast`: deployments whose uploads are not counted."""

    figures: PlannedFigures = field(metadata=FLAT)
    not_forecast: Sequence[str]


@dataclass(frozen=True)
class Interval:
    """A time of hosting; if it is not certain, the deployment is hosted only while documents wait."""

    start: datetime
    end: datetime
    local_start: datetime
    local_end: datetime
    certain: bool


@dataclass(frozen=True)
class MarkReport:
    """An exception in the schedule: a holiday, a named date, a closure, a change of the clocks."""

    at: datetime
    local: datetime
    kind: Special
    text: str


@dataclass(frozen=True)
class AdviceReport:
    """A suggested change of the configuration, and what it saves."""

    name: str
    saves: float
    currency: str
    text: str


@dataclass(frozen=True)
class DeploymentPreview:
    """One deployment in the period."""

    deployment: str
    account: str
    cost_center: str | None
    sku: str
    price_per_hour: float
    mode: Mode
    time_zone: str  # of the local times; UTC if its schedule names none
    hold: HoldReport | None
    kept_until: datetime | None  # it may stay until then, because capacity is scarce
    sum: Sum = field(metadata=FLAT)
    uploads_told: str
    intervals: Sequence[Interval]
    marks: Sequence[MarkReport]
    advice: Sequence[AdviceReport]


@dataclass(frozen=True)
class CostCenterPreview:
    """The sum of one cost center's deployments; None: of the deployments that name none."""

    cost_center: str | None
    sum: Sum = field(metadata=FLAT)


@dataclass(frozen=True)
class PreviewReport:
    """The hosting in [since, until), and its cost."""

    since: datetime
    until: datetime
    currency: str
    records_known: bool
    deployments: Sequence[DeploymentPreview]
    cost_centers: Sequence[CostCenterPreview]
    total: Sum
    notes: Sequence[str]


@dataclass(frozen=True)
class ChangeReport:
    """The change of a deployment between two files. `before` or `after` is None if that file lacks it."""

    deployment: str
    before: PlannedFigures | None
    after: PlannedFigures | None
    certain: Amount
    at_most: Amount
    appears: Sequence[Interval]
    vanishes: Sequence[Interval]
