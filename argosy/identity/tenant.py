"""Tenants: what may be done in the name of one."""

from enum import StrEnum


class TenantState(StrEnum):
    """active; suspended: nothing new is taken for it, what it has can be read, and its turns run on."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
