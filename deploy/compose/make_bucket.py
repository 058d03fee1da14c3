"""Make the bucket of `store.objects` if there is none: a step of docker-compose.yml."""

from pathlib import Path

from minio import Minio

from fonoteka.core.config import load
from store.objects.bucket_place import bucket_place

store = load(Path("/etc/fonoteka/fonoteka.toml")).store
place = bucket_place(store.objects, store)
client = Minio(
    endpoint=place.host,
    access_key=place.access_key,
    secret_key=place.secret_key,
    secure=place.is_encrypted,
    region=place.region,
)
if not client.bucket_exists(place.bucket):
    client.make_bucket(place.bucket)
