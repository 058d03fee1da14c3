"""Check the master key and its backup, where the index is within reach."""

import asyncio
from collections.abc import AsyncIterator

from fonoteka.cli.doctor.finding import Finding
from fonoteka.core.config import Configuration
from fonoteka.core.errors import ConfigurationError, StoreError
from store.database.domain_keys import recorded_state
from store.encryption.master_key import MasterKeySource
from store.objects.places import workspace_of


async def check(configuration: Configuration) -> AsyncIterator[Finding]:
    """Yield the findings; nothing on a machine without the index, such as a PBX."""
    try:
        state = await recorded_state(configuration.store)
        if state is None:
            return
        source = MasterKeySource(configuration.store, workspace_of(configuration.store))
        await asyncio.to_thread(source.load, state.master_key_id)
    except (ConfigurationError, StoreError) as error:
        mend = "restore the key from its backup: it is the text that `fonoteka keys show --recovery` printed"
        yield Finding(part="store", check="master key", ok=False, detail=str(error), mend=mend)
        return
    confirmed = f"its backup was confirmed {state.confirmed_at:%Y-%m-%d}" if state.confirmed_at else "nobody has confirmed a backup"
    yield Finding(
        part="store",
        check="master key",
        ok=state.confirmed_at is not None,
        detail=f"{state.master_key_id} ({source}): {confirmed}",
        mend="`fonoteka keys show --recovery`: who loses this key loses every recording",
    )
