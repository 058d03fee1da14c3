"""Where the objects of a configuration are."""

from pathlib import Path
from typing import TYPE_CHECKING

from fonoteka.core.config import DATA_FOLDER, StoreSection
from store.encryption.data_key import DataKeys
from store.objects.bucket_place import bucket_place, is_bucket
from store.objects.folder import ObjectFolder, folder_of
from store.objects.object_store import ObjectStore
from store.objects.routed import Places, RoutedObjects

if TYPE_CHECKING:
    from store.objects.own_bucket import OwnBucket


def workspace_of(section: StoreSection) -> Path:
    """Return the working folder, beside which local files are. Raises ConfigurationError."""
    if is_bucket(section.objects):
        return (section.workspace or DATA_FOLDER / "objects").absolute()
    return folder_of(section.objects)


def objects_of(section: StoreSection, keys: DataKeys, places: Places) -> RoutedObjects:
    """Return the objects of `store.objects`, and of domains. Raises ConfigurationError."""
    workspace = workspace_of(section)

    def own(address: str) -> "OwnBucket":
        from store.objects.own_bucket import OwnBucket  # as below

        return OwnBucket(address, section, workspace, keys)

    return RoutedObjects(objects_at(section.objects, section, keys, workspace), places, own, keys)


def objects_at(objects: str, section: StoreSection, keys: DataKeys, workspace: Path) -> ObjectStore:
    """Return the objects at another place, with the keys of the section."""
    if not is_bucket(objects):
        return ObjectFolder(folder_of(objects), keys)
    from store.objects.bucket import ObjectBucket  # the S3 client takes half a second to import

    return ObjectBucket(bucket_place(objects, section), workspace, keys)
