"""Whose fault a failure is, and what it means for everybody else on the deployment.

Note [whose fault is it]. A document pays only for what is its own: what its readers refuse, the content
filter, the context length, its size, a cap of its own. Everything else may be the deployment's, the account's
or the network's, and no attempt counts while nobody is answered. Two things are evidence against a document:
another one was answered while its request failed; or it is the only one in trouble, and a small request of
the same kind is answered right after. A rate limit (429) is evidence only of the second kind, and only if the
limit has room for the document.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from shared.alerts import Alert, alert
from shared.documents.ask import Question
from shared.documents.backlog import DocumentLedger
from shared.errors import (
    AccessDenied,
    DeploymentNotFound,
    ModelError,
    ModelUnavailable,
    RateLimited,
    ServiceRefused,
)
from shared.hosting.answering import Trouble
from shared.hosting.leases import WorkLease
from shared.hosting.probe import PROBE
from shared.model import Document, ModelAnswer, ModelRequest
from shared.ports import Model


class Witness:
    """What one slice has seen of its deployment: who was asked and answered, and what went wrong since."""

    def __init__(
        self, model: Model, documents: DocumentLedger, work: WorkLease, endpoint: str, deployment: str
    ) -> None:
        self._model = model
        self._documents = documents
        self._work = work
        self._endpoint = endpoint
        self._deployment = deployment
        self._asked: set[str] = set()
        self.answers = 0  # of the model to documents, whatever it said
        self.trouble: Trouble | None = None  # why nobody was answered after the last of them
        self.halted = ""  # why nobody is to be asked any more

    def saw_question(self, document: Document) -> None:
        """A document's request is sent."""
        self._asked.add(document.id)

    def saw_answer(self) -> None:
        """The model answered a document, whatever it said."""
        self.answers += 1
        self.trouble = None

    def saw_trouble(self, since: datetime, reason: str, *, silent: bool) -> None:
        """A request failed, and no other was answered meanwhile. `silent`: see Trouble."""
        first = self.trouble
        since = min(since, first.since) if first else since
        self.trouble = Trouble(since, reason, silent or (first is not None and first.silent))

    def saw_failure(
        self, error: ModelError, asked_at: datetime, answers_before: int, *, cut_short: bool
    ) -> None:
        """A document's request was given up. Halts the slice where nobody else would be answered either."""
        fields = {"deployment": self._deployment, "code": error.code}
        match error:
            case AccessDenied():
                alert(Alert.MODEL_ACCESS_DENIED, str(error), **fields)
            case ServiceRefused():
                alert(Alert.MODEL_REFUSES, str(error), **fields)
            case DeploymentNotFound():
                alert(Alert.DRAIN_FAILED, str(error), **fields)
        heard, limited = self.answers > answers_before, isinstance(error, RateLimited)
        passing = limited or (isinstance(error, ModelUnavailable) and (heard or cut_short))
        if not passing:
            self.halted = str(error)
        if not heard:
            self.saw_trouble(asked_at, str(error), silent=not limited)

    async def accuses(
        self, document: Document, asked: Question, error: ModelError, answers_before: int, admitted: int
    ) -> bool:
        """Whether there is evidence that the failure is the document's own: see the note.

        `admitted`: the tokens that the deployment admits a minute.
        """
        if isinstance(error, AccessDenied | DeploymentNotFound):
            return False
        if not isinstance(error, RateLimited) and self.answers > answers_before:
            return True
        if self._asked != {document.id} or (answer := await self._ask_little(asked.request)) is None:
            return False
        if isinstance(error, RateLimited) and answer.remaining_tokens is not None:
            need = asked.prompt_tokens + asked.request.max_output_tokens
            return min(need, admitted // 2) <= answer.remaining_tokens
        return not await self._others_in_trouble(document)

    async def _ask_little(self, request: ModelRequest) -> ModelAnswer | None:
        """The answer to a small request of the same kind; None if there is none."""
        seconds = self._work.timing.probe_seconds
        if not self._work.allows(seconds):
            return None
        small = replace(request, text=PROBE.text, max_output_tokens=PROBE.max_output_tokens)
        try:
            return await self._model.ask(self._endpoint, self._deployment, small, timeout=seconds)
        except ModelError:
            return None

    async def _others_in_trouble(self, document: Document) -> bool:
        async for other in self._documents.unfinished(self._deployment):
            if other.id != document.id and (other.unanswered or other.attempts):
                return True
        return False
