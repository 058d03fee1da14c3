"""The fixtures of the API's and the store's tests."""

from tests.api.conftest import _cheap_passwords, admin, agent, site, site_behind_proxy, site_section, stopped_login_clock
from tests.store.conftest import pbx

__all__ = ["_cheap_passwords", "admin", "agent", "pbx", "site", "site_behind_proxy", "site_section", "stopped_login_clock"]
