"""The store as it is beyond one machine: tests once more, on PostgreSQL and S3."""

import pytest

from tests.store.test_encryption import older, test_keys_are_rotated_while_the_service_runs  # noqa: F401
from tests.store.test_intake import test_a_missing_object_is_stored_again, test_the_same_recording_twice_is_one  # noqa: F401
from tests.store.test_retention import test_two_processes_at_once_delete_each_call_once  # noqa: F401
from tests.store.test_store_in_bucket import (  # noqa: F401
    nothing_is_young,
    test_a_recording_that_is_deleted_while_it_is_encrypted_does_not_come_back,
    test_the_index_has_no_row_of_what_the_server_did_not_take,
    test_verify_finds_what_differs_and_mends_it,
)

pytestmark = pytest.mark.parametrize("section", ["postgresql-s3"], indirect=True)
