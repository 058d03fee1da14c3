"""The fixtures of the API's and the store's tests."""

from tests.api.conftest import _cheap_passwords, admin, agent, seeded, site, site_behind_proxy, stopped_login_clock
from tests.store.conftest import pbx, postgresql, section, store

__all__ = [
    "_cheap_passwords",
    "admin",
    "agent",
    "pbx",
    "postgresql",
    "section",
    "seeded",
    "site",
    "site_behind_proxy",
    "stopped_login_clock",
    "store",
]
