"""The fixtures of the API's and the store's tests."""

from tests.api.conftest import _cheap_passwords, admin, agent, seeded, site, site_behind_proxy
from tests.store.conftest import postgresql

__all__ = ["_cheap_passwords", "admin", "agent", "postgresql", "seeded", "site", "site_behind_proxy"]
