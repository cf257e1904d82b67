"""What a tenant's row says of its limits, also when a later version wrote it."""

import pytest

from argosy.identity.tenant_limits import NO_LIMITS_OF_ITS_OWN, TenantLimits, read_limits


def test_what_is_stored_is_read() -> None:
    assert read_limits('{"turns_per_s": 5, "streams": 7}') == TenantLimits(turns_per_s=5.0, streams=7)
    assert read_limits(None) == NO_LIMITS_OF_ITS_OWN


@pytest.mark.parametrize(
    "odd",
    ['"reads_per_s": 5', '"streams": {"at_once": 5}', '"streams": 0', '"signals_per_s": 1e12', '"streams": "many"'],
)
def test_what_only_a_later_version_would_write_leaves_the_others_as_they_are(odd: str) -> None:
    assert read_limits(f'{{"turns_per_s": 5, {odd}}}') == TenantLimits(turns_per_s=5.0)
