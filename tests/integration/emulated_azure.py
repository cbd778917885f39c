"""The emulated Azure for tests: its own meter, faults on request, and deployments of another owner."""

import json
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tests.integration.calls import Answer, call
from tests.integration.deployments_file import MODEL, account_id

_EFFECTS = (
    *("status", "drop", "late_seconds", "no_effect", "stuck", "provision", "drop_tags", "lag_seconds"),
    *("omit", "delay_seconds"),
)


@dataclass(frozen=True)
class Session:
    """One generation of a deployment in the meter; `cut`: requests in flight when it was deleted."""

    created: datetime
    ready: datetime | None
    deleted: datetime | None
    requests_refused: int
    cut: int


@dataclass(frozen=True)
class EmulatedAzure:
    """A running emulator, given by its URL. Each deployment's account has the deployment's name."""

    url: str

    def bill(self) -> Any:
        """Return the meter's bill."""
        return call(f"{self.url}/emulator/bill").json

    def sessions(self, deployment: str) -> list[Session]:
        """Return the generations of a deployment, oldest first."""
        return [
            Session(
                created=datetime.fromisoformat(row["created"]),
                ready=datetime.fromisoformat(row["ready"]) if row["ready"] else None,
                deleted=datetime.fromisoformat(row["deleted"]) if row["deleted"] else None,
                requests_refused=row["requests_refused"],
                cut=row["cut"],
            )
            for row in self.bill()["deployments"]
            if row["deployment"] == deployment
        ]

    def admissions(self, deployment: str) -> list[tuple[datetime, str]]:
        """Return when each request passed the deployment's limits, and the SHA-256 of its document."""
        listed = call(f"{self.url}/emulator/admissions?deployment={deployment}").json["admissions"]
        return [(datetime.fromisoformat(each["at"]), each["document"]) for each in listed]

    def writes(self, deployment: str) -> tuple[int, int]:
        """Return how many PUTs and DELETEs the deployment's account has had."""
        calls = self.bill()["arm_calls"][deployment]
        return calls["put"], calls["delete"]

    def add_fault(self, **fault: Any) -> None:
        """Add a fault; see local/emulator/faults.py."""
        answer = call(f"{self.url}/emulator/faults", "POST", json.dumps(fault).encode())
        assert answer.status == 201, answer.body

    def fired(self, deployment: str) -> list[int]:
        """Return how often each fault of a deployment has fired, oldest first."""
        faults = call(f"{self.url}/emulator/faults").json["faults"]
        return [fault["fired"] for fault in faults if fault["deployment"] == deployment]

    def all_fired(self) -> Counter[str]:
        """Return how often faults have fired since they were last removed, by operation and effect."""
        fired: Counter[str] = Counter()
        for fault in call(f"{self.url}/emulator/faults").json["faults"]:
            effect = next(name for name in _EFFECTS if name in fault)
            value = f" {fault[effect]}" if effect in ("status", "drop", "provision") else ""
            fired[f"{fault['operation']} {effect}{value}"] += fault["fired"]
        return fired

    def move_account(self, deployment: str, subdomain: str) -> None:
        """Delete the deployment's account, and create it again under another subdomain."""
        body = json.dumps({"subdomain": subdomain}).encode()
        answer = call(f"{self.url}/emulator/accounts/{deployment}/endpoint", "POST", body)
        assert answer.status == 200, answer.body

    def clear_faults(self) -> None:
        """Remove all faults."""
        assert call(f"{self.url}/emulator/faults", "DELETE").status == 204

    def put_deployment(self, deployment: str) -> None:
        """Create a deployment as another owner would, with other properties than the app's."""
        properties = {"model": {"format": "OpenAI", "name": MODEL, "version": "1"}}
        body = {"sku": {"name": "GlobalStandard", "capacity": 77}, "properties": properties}
        answer = self._arm(deployment, "PUT", json.dumps(body | {"tags": {"team": "theirs"}}).encode())
        assert answer.status == 201, answer.body

    def put_embedder(self, account: str, name: str) -> None:
        """Create a deployment for embeddings, which stays, as its owner would."""
        properties = {"model": {"format": "OpenAI", "name": "text-embedding-3-small", "version": "1"}}
        body = {"sku": {"name": "GlobalStandard", "capacity": 1000}, "properties": properties}
        answer = self._arm(account, "PUT", json.dumps(body).encode(), name)
        assert answer.status == 201, answer.body

    def get_deployment(self, deployment: str) -> Any:
        """Return the deployment as Azure shows it; None if there is none."""
        answer = self._arm(deployment, "GET")
        return answer.json if answer.status == 200 else None

    def delete_deployment(self, deployment: str) -> None:
        """Delete a deployment as another owner would."""
        answer = self._arm(deployment, "DELETE")
        assert answer.status == 202, answer.body

    def _arm(self, account: str, method: str, body: bytes | None = None, deployment: str = "") -> Answer:
        name = deployment or account
        url = f"{self.url}{account_id(account)}/deployments/{name}?api-version=2025-09-01"
        headers = {"Authorization": "Bearer somebody-else", "Content-Type": "application/json"}
        return call(url, method, body, headers)
