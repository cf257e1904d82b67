"""Tenants: what may be done in the name of one."""

from enum import StrEnum


class TenantState(StrEnum):
    """active; suspended: nothing new is taken for it, what it has can be read, and its turns run on; deleted: nobody is
    let in for it, and what it has is being erased. No row has this word: see migration 0043.
    """

    ACTIVE = "active"
    SUSPENDED = "suspended"
    DELETED = "deleted"
