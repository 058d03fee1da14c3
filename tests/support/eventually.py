"""Wait for a condition instead of a time (`lab.base.eventually`)."""

from lab.base.eventually import LIMIT_S, eventually

__all__ = ["LIMIT_S", "eventually"]
