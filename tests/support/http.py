"""httpx's functions with a time limit for a machine that stands still (httpx's own is 5 s)."""

from functools import partial
from typing import Final

import httpx

from tests.support.eventually import LIMIT_S

get: Final = partial(httpx.get, timeout=LIMIT_S)
post: Final = partial(httpx.post, timeout=LIMIT_S)
put: Final = partial(httpx.put, timeout=LIMIT_S)
