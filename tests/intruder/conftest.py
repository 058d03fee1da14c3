"""The fixtures of the API's and the store's tests."""

from tests.api.conftest import _cheap_passwords, admin, agent, seeded, site

__all__ = ["_cheap_passwords", "admin", "agent", "seeded", "site"]
