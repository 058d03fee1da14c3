"""Metrics for Prometheus."""

from collections.abc import Callable
from datetime import datetime
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from fonoteka.core.call_report import RecordingState
from fonoteka.core.disk_watch import DiskLook
from store.intake.write_calls import CallChange
from store.integrity.intact import DamageReason
from store.retention.run import Amount, Rule

_SECONDS: Final = (0.1, 0.25, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 30, 60, 300, 3600)
_ANSWER_SECONDS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_SCORES: Final = (2.6, 3.1, 3.6, 4.0, 4.2, 4.3, 4.4)  # up to 4.0 after ITU-T G.107, annex B
_UNSETTLED: Final = frozenset({RecordingState.RECORDING, RecordingState.PROCESSING})
_AUDIBLE: Final = frozenset({RecordingState.READY, RecordingState.PARTIAL})


class Metrics:
    """The metrics of one application."""

    def __init__(self, *, live_sockets: Callable[[], int] = lambda: 0) -> None:
        self.registry = CollectorRegistry()
        self._sockets = Gauge("fonoteka_live_sockets", "Live sockets of open portals", registry=self.registry)
        self._sockets.set_function(live_sockets)
        self._requests = Histogram(
            "fonoteka_request_seconds",
            "From each request to the begin of its answer",
            ["path", "status"],
            buckets=_ANSWER_SECONDS,
            registry=self.registry,
        )
        self._calls = Counter("fonoteka_calls", "Calls that ended", ["direction", "result"], registry=self.registry)
        self._recordings = Counter(
            "fonoteka_recordings", "Ended calls by what became of the recording", ["state", "reason"], registry=self.registry
        )
        self._refused = Counter(
            "fonoteka_agent_refused", "What agents sent and the store refused", ["pbx", "reason"], registry=self.registry
        )
        self._clock_ahead = Gauge(
            "fonoteka_pbx_clock_ahead_seconds",
            "By how much the clock of a PBX is ahead of the clock of this API",
            ["pbx"],
            registry=self.registry,
        )
        self._damaged = Counter(
            "fonoteka_objects_damaged", "Requests for recordings that are missing or altered", ["reason"], registry=self.registry
        )
        for reason in DamageReason:
            self._damaged.labels(reason)
        self._visible = Histogram(
            "fonoteka_call_visible_seconds", "From hangup to the row's end in the index", buckets=_SECONDS, registry=self.registry
        )
        self._mos = Histogram(
            "fonoteka_call_mos", "Mean opinion score of the worst leg of each ended call", buckets=_SCORES, registry=self.registry
        )
        self._ready = Histogram(
            "fonoteka_recording_ready_seconds", "From hangup to playable audio", buckets=_SECONDS, registry=self.registry
        )

        self._deleted_recordings = Counter(
            "fonoteka_retention_recordings", "Recordings that were deleted by their age or a quota", registry=self.registry
        )
        self._deleted_bytes = Counter("fonoteka_retention_bytes", "Size of these recordings", registry=self.registry)
        self._deleted_calls = Counter("fonoteka_retention_calls", "Calls that were deleted by their age", registry=self.registry)
        self._retention_lock = Histogram(
            "fonoteka_retention_lock_seconds",
            "For how long retention kept others from writing",
            buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 1),
            registry=self.registry,
        )
        self._overdue = Gauge(
            "fonoteka_retention_overdue_seconds", "For how long the oldest of what is due has been due", registry=self.registry
        )
        self._unlocked = Gauge(
            "fonoteka_recordings_unlocked", "Recordings under legal hold that the bucket could not lock", registry=self.registry
        )
        self._quota = Gauge(
            "fonoteka_quota_used_ratio", "Used share of the quota of recordings, 1 is all of it", ["domain"], registry=self.registry
        )

        self._disk_free = Gauge(
            "fonoteka_store_disk_free_bytes", "Free space on the disk of the recordings", registry=self.registry
        )
        self._disk_hours = Gauge(
            "fonoteka_store_hours_left",
            "Hours until the disk of the recordings is full, by the rate of shrinking",
            ["rate"],
            registry=self.registry,
        )

    def count_request(self, path: str, status: int, seconds: float) -> None:
        """Count a request by the path of its route and the HTTP status of its answer."""
        self._requests.labels(path, str(status)).observe(seconds)

    def set_disk(self, look: DiskLook) -> None:
        """Set the free space on the disk of the recordings, and its forecast."""
        self._disk_free.set(look.free_bytes)
        for rate, hours in look.hours._asdict().items():
            self._disk_hours.labels(rate.removeprefix("by_")).set(hours)

    def count(self, change: CallChange, now: datetime) -> None:
        """Count the end of a call once, and its recording once, when both are final."""
        if change.ended_at is None:
            return
        since_hangup_s = max(0.0, (now - change.ended_at).total_seconds())
        if not change.was_ended:
            self._calls.labels(change.direction, change.result).inc()
            self._visible.observe(since_hangup_s)
            if change.mos is not None:
                self._mos.observe(change.mos)
        settled_before = change.was_ended and change.was not in _UNSETTLED
        if change.recording not in _UNSETTLED and not settled_before:
            self._recordings.labels(change.recording, change.reason or "").inc()
            if change.recording in _AUDIBLE:
                self._ready.observe(since_hangup_s)

    def count_refused(self, pbx: str, reason: str, number: int = 1) -> None:
        """Count reports, recordings and commands of a PBX that were refused."""
        self._refused.labels(pbx, reason).inc(number)

    def set_clock_ahead(self, pbx: str, seconds: float) -> None:
        """Set by how much the clock of a PBX is ahead."""
        self._clock_ahead.labels(pbx).set(round(seconds, 1))

    def count_deleted(self, rule: Rule, amount: Amount, lock_s: float) -> None:
        """Count what a transaction of retention deleted, and for how long it held the lock."""
        self._retention_lock.observe(lock_s)
        self._deleted_recordings.inc(amount.recordings)
        self._deleted_bytes.inc(amount.size_bytes)
        if rule.is_of_calls:
            self._deleted_calls.inc(amount.calls)

    def set_overdue(self, seconds: float) -> None:
        """Set for how long the oldest of what is due has been due."""
        self._overdue.set(seconds)

    def set_unlocked(self, recordings: int) -> None:
        """Set how many recordings under legal hold the bucket could not lock."""
        self._unlocked.set(recordings)

    def set_quota(self, domain: str, used: float) -> None:
        """Set the used share of a domain's quota."""
        self._quota.labels(domain).set(used)

    def count_damaged(self, reason: DamageReason) -> None:
        """Count a request for a recording that is not what was stored."""
        self._damaged.labels(reason).inc()

    def text(self) -> bytes:
        """Return the metrics in Prometheus' text format."""
        return generate_latest(self.registry)
