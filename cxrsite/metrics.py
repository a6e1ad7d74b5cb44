"""`/metrics` for Prometheus: requests as django-prometheus counts them, and the state of queue, workers and stages.

No patient data, no clinic. The site's own numbers are read from PostgreSQL when they are asked for, so every web
process gives the same. May import: Django, prometheus, `diagnosis.monitoring`, `diagnosis.throughput`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from django_prometheus.exports import ExportToDjangoView
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from diagnosis.models import Job
from diagnosis.monitoring import SENTENCES, alerts_read, status_read
from diagnosis.throughput import kinds_stuck, stage_times, tallies
from patients import access


@never_cache
@login_not_required
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """For a bearer of `METRICS_TOKEN` and for system administrators; for everybody else there is nothing here."""
    if not (_bears_token(request) or access.is_system_admin(request.user)):
        raise Http404
    registry = CollectorRegistry()
    registry.register(SiteCollector())
    requests = ExportToDjangoView(request).content
    return HttpResponse(requests + generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


def _bears_token(request: HttpRequest) -> bool:
    given = request.headers.get("Authorization", "").removeprefix("Bearer ")
    return bool(settings.METRICS_TOKEN) and constant_time_compare(given, settings.METRICS_TOKEN)


class SiteCollector:
    """The numbers of the whole site at one moment. While the database is away only `cxr_database_up 0` is known."""

    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        try:
            found = [*_state(status_read()), *_lately()]
        except DatabaseError:
            yield _gauge("database_up", "PostgreSQL answers", 0)
            return
        yield _gauge("database_up", "PostgreSQL answers", 1)
        yield from found


def _state(status: dict[str, Any]) -> Iterator[Metric]:
    for name, text in _QUEUE.items():
        family = _gauge(f"jobs_{name}", text, labels=["kind"])
        for kind, queue in status["queues"].items():
            family.add_metric([kind], queue[name] or 0)
        yield family
    alive = _gauge("workers_alive", "Workers heard of within half a minute that can work", labels=["kind"])
    for kind in Job.Kind.values:
        able = [each for each in status["workers"] if each["kind"] == kind and each["alive"] and not each["note"]]
        alive.add_metric([kind], len(able))
    yield alive
    seen = status["sweeper"]["last_seen_at"]
    yield _gauge("last_sweep_timestamp_seconds", "When lost work was last looked for", seen.timestamp() if seen else 0)
    yield _gauge("redis_up", "Redis answers", int(status["redis"]))
    yield _gauge("storage_free_bytes", "Room for films", status["storage"]["free_bytes"])
    said = {alert.code for alert in alerts_read(status)}
    alerts = _gauge("alert", "1 while a person should act; the status page says what to do", labels=["code"])
    for code in SENTENCES:
        alerts.add_metric([code], int(code in said))
    yield alerts
    model = _gauge("model_active", "The model version that answers", labels=["name", "version"])
    if status["model"]:
        model.add_metric([status["model"]["name"], status["model"]["version"]], 1)
    yield model


_QUEUE = {
    "queued": "Jobs that wait",
    "running": "Jobs in work",
    "failed": "Failed jobs that no person has cleared",
    "oldest_wait_seconds": "How long the oldest waiting job has waited",
}


def _lately() -> Iterator[Metric]:
    times = _gauge("stage_seconds", "Seconds per stage, last five minutes", labels=["kind", "stage", "quantile"])
    jobs = _gauge("stage_jobs", "Jobs that the seconds are of", labels=["kind", "stage"])
    for each in stage_times():
        times.add_metric([each.kind, each.stage, "0.5"], each.median)
        times.add_metric([each.kind, each.stage, "0.95"], each.p95)
        jobs.add_metric([each.kind, each.stage], each.jobs)
    yield from (times, jobs)
    stuck = _gauge("queue_stuck", "1 while work waits and nothing of its kind moves", labels=["kind"])
    found = kinds_stuck()
    for kind in Job.Kind.values:
        stuck.add_metric([kind], int(kind in found))
    yield stuck
    for name, count in tallies().items():
        yield CounterMetricFamily(f"cxr_{name}", "Counted by the workers since the site began", value=count)


def _gauge(name: str, text: str, value: float | None = None, *, labels: list[str] | None = None) -> Any:
    return GaugeMetricFamily(f"cxr_{name}", text, value=value, labels=labels)
