"""Tells Kubernetes what it costs to delete each worker: how much work it has under way.

It runs once a minute. Of the pods of a Deployment those that cost least are deleted first, when it is scaled down. A
cost is as old as the last run, and a hint: a worker that is deleted with work hands it over all the same. The pod of a
worker that does not answer keeps the cost that it had.
"""

import json
import ssl
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
API: Final = "https://kubernetes.default.svc"
WORKERS: Final = "app.kubernetes.io/component in (dispatch,ingest)"
ANNOTATION: Final = "controller.kubernetes.io/pod-deletion-cost"
METRICS_PORT: Final = 9100
# What a worker has under way: turns that hold a slot, mebibytes of records that are not done.
SCALES: Final = {"argosy_turns_running": 1.0, "argosy_ingest_held_size_bytes": 1 / 1_048_576}
_TIMEOUT_S: Final = 3.0


def cost_of(exposition: str) -> int:
    """Return what it costs to delete the worker whose /metrics say this."""
    cost = 0.0
    for line in exposition.splitlines():
        name, _, value = line.partition(" ")
        if name in SCALES:
            cost += float(value) * SCALES[name]
    return round(cost)


def living(pods: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield name, address and present cost of each pod of a list that runs and was not told to end."""
    for pod in pods["items"]:
        meta, status = pod["metadata"], pod["status"]
        if status.get("phase") == "Running" and status.get("podIP") and "deletionTimestamp" not in meta:
            yield meta["name"], status["podIP"], meta.get("annotations", {}).get(ANNOTATION, "0")


class Cluster:
    """The API server, asked as the account of this pod."""

    def __init__(self, url: str = API, account: Path = ACCOUNT) -> None:
        self._url = f"{url}/api/v1/namespaces/{(account / 'namespace').read_text()}/pods"
        self._token = (account / "token").read_text()
        self._tls = ssl.create_default_context(cafile=str(account / "ca.crt"))

    def pods(self) -> dict[str, Any]:
        """Return the pods of workers, as the API server lists them."""
        found: dict[str, Any] = json.loads(self._ask("GET", f"?labelSelector={urllib.parse.quote(WORKERS)}"))
        return found

    def set_cost(self, pod: str, cost: int) -> None:
        change = {"metadata": {"annotations": {ANNOTATION: str(cost)}}}
        self._ask("PATCH", f"/{pod}", json.dumps(change).encode())

    def _ask(self, method: str, path: str, body: bytes | None = None) -> bytes:
        request = urllib.request.Request(f"{self._url}{path}", body, method=method)  # noqa: S310 (https alone)
        request.add_header("Authorization", f"Bearer {self._token}")
        request.add_header("Content-Type", "application/merge-patch+json")
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S, context=self._tls) as answer:  # noqa: S310
            content: bytes = answer.read()
        return content


def scrape(address: str) -> str:
    """Return the metrics of the worker at this address."""
    host = f"[{address}]" if ":" in address else address
    with urllib.request.urlopen(f"http://{host}:{METRICS_PORT}/metrics", timeout=_TIMEOUT_S) as answer:
        content: bytes = answer.read()
    return content.decode()


def main() -> None:
    cluster = Cluster()
    for pod, address, before in living(cluster.pods()):
        try:
            cost = cost_of(scrape(address))
            if str(cost) != before:
                cluster.set_cost(pod, cost)
        except (OSError, ValueError) as error:  # the others' costs are right all the same
            print(f"{pod}: {error}")  # noqa: T201


if __name__ == "__main__":
    main()
