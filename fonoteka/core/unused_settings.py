"""Settings that are accepted but have no effect in this version; each part logs them at start."""

from collections.abc import Iterator

from fonoteka.core.config import Configuration


def unused_settings(part: str, configuration: Configuration) -> Iterator[tuple[str, str]]:
    """Yield the key of each setting of a part that has no effect yet, and a hint for operators."""
    if part == "api" and not configuration.store.objects.startswith("s3:"):
        for key in ("s3_access_key", "s3_secret_key"):
            if getattr(configuration.store, key) is not None:
                yield f"store.{key}", "the objects are in a folder: store.objects = file://…"
