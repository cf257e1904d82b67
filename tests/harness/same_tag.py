"""Tenants that ids cannot tell apart."""

from itertools import count

from argosy import ids


def same_tag(tenant: str) -> str:
    """The name of another tenant whose turn ids carry the same tag: some 65,536 names are tried."""
    tag = ids.tenant_tag(tenant)
    return next(name for name in (f"twin-{number}" for number in count()) if ids.tenant_tag(name) == tag)
