"""Rates: token buckets."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

_MOST = 20_000  # buckets that are remembered


@dataclass(frozen=True, slots=True)
class Bucket:
    """What was left of a burst at a time (seconds, of any clock that does not go back)."""

    left: float
    at: float


def taken(bucket: Bucket | None, now: float, rate: float, burst: float) -> tuple[Bucket, float]:
    """Take one from a bucket: what is left, and 0.0 or how many seconds to wait first."""
    left = burst if bucket is None else min(burst, bucket.left + (now - bucket.at) * rate)
    if left >= 1:
        return Bucket(left - 1, now), 0.0
    return Bucket(left, now), (1 - left) / rate


class Limiter:
    """The buckets of all clients."""

    def __init__(self, rate: float, burst: float) -> None:
        self._rate, self._burst = rate, burst
        self._buckets: dict[Hashable, Bucket] = {}

    def wait(self, whose: Hashable, now: float) -> float:
        """Count a request; 0.0, or how many seconds it comes too early."""
        found, seconds = taken(self._buckets.pop(whose, None), now, self._rate, self._burst)
        self._buckets[whose] = found  # the last used are last
        while len(self._buckets) > _MOST:
            del self._buckets[next(iter(self._buckets))]
        return seconds
