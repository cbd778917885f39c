"""The parts of the room, as the app holds them."""

from __future__ import annotations

from dataclasses import dataclass

from shared.batches.files import Files
from shared.batches.intake import BatchIntake
from shared.batches.ledger import BatchLedger


@dataclass(frozen=True)
class Batches:
    """Files and batches."""

    ledger: BatchLedger
    files: Files
    intake: BatchIntake
