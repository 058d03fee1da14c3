"""The throttle of logins, for all replicas."""

from datetime import timedelta

from api.limits.login_throttle import LoginAttempt, LoginThrottle
from api.limits.shared_limiter import SharedLimiter
from store.database.store import Store


class Logins:
    """Counts attempts to log in; each method raises StoreError."""

    def __init__(self, store: Store) -> None:
        self._throttle = SharedLimiter(store, LoginThrottle)

    async def begin(self, attempt: LoginAttempt) -> timedelta:
        """Count the attempt and return zero, or return how long it must wait (then not counted)."""
        async with self._throttle.holding(attempt) as (throttle, now):
            return throttle.begin(attempt, now)

    async def succeeded(self, attempt: LoginAttempt) -> None:
        """Forget the failures of this login from here; take this attempt back elsewhere."""
        async with self._throttle.holding(attempt) as (throttle, _):
            throttle.succeeded(attempt)

    async def not_tried(self, attempt: LoginAttempt) -> None:
        """Take an attempt back whose password was not checked."""
        async with self._throttle.holding(attempt) as (throttle, _):
            throttle.not_tried(attempt)
