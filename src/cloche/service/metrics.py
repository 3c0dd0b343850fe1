"""Measurements for Prometheus."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

if TYPE_CHECKING:
    from cloche.service.core import Service

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_BUCKETS = (0.001, 0.005, 0.02, 0.1, 0.5, 2, 10)


class Metrics:
    """What is counted while the service runs."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)
        names = ("route", "status")
        self._requests = self._counter("requests", "Requests", names)
        self._seconds = Histogram(
            "cloche_request_seconds",
            "Time to the first byte of an answer",
            ("route",),
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self._builds = self._counter("builds", "Builds that ended", ("state",))
        self._building = self._counter("building_seconds", "Time of builds", ())
        self._proofs = self._counter("proofs", "Proofs of what targets accept", ())
        self._proving = self._counter("proving_seconds", "Time of proofs", ())
        self._now = {
            name: Gauge(f"cloche_{name}", text, registry=self.registry)
            for name, text in (
                ("queued", "Builds in the queue"),
                ("running", "Builds that run"),
                ("proofs_waiting", "Proofs that are to be made"),
                ("proofs_failing", "Proofs that failed when they were made last"),
                ("targets", "Targets"),
                ("packages", "Packages in the pool"),
                ("pool_bytes", "Size of the pool"),
                ("streams", "Clients that follow events"),
            )
        }

    def _counter(self, name: str, text: str, labels: tuple[str, ...]) -> Counter:
        return Counter(f"cloche_{name}", text, labels, registry=self.registry)

    def answered(self, route: str, status: int, seconds: float) -> None:
        """A request was answered."""
        self._requests.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def ended(self, state: str, seconds: float) -> None:
        """A build ended."""
        self._builds.labels(state).inc()
        self._building.inc(seconds)

    def proved(self, seconds: float) -> None:
        """It was proven what a target accepts."""
        self._proofs.inc()
        self._proving.inc(seconds)

    def text(self, service: Service) -> bytes:
        """All measurements, in Prometheus's text format."""
        database = service.database
        packages, size = database.pool()
        values = {
            "queued": database.queued(),
            "running": len(service.dispatcher.running),
            "proofs_waiting": service.prover.waiting,
            "proofs_failing": len(database.faults()),
            "targets": len(database.targets()),
            "packages": packages,
            "pool_bytes": size,
            "streams": sum(service.streams.values()),
        }
        for name, value in values.items():
            self._now[name].set(value)
        return generate_latest(self.registry)
