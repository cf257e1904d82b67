"""What can be wrong with sealed payloads and their keys."""

from argosy.errors import ArgosyError, CallerError, StoreUnavailableError


class KeysUnavailableError(StoreUnavailableError):
    """The keys of a tenant's payloads cannot be unwrapped now: the KMS does not answer."""


class PayloadUnreadableError(ArgosyError):
    """A sealed payload does not open, and will not: its key is gone, or it is not what was sealed for this place."""

    code = "payload_unreadable"


class GraphSealedError(CallerError):
    """A sealed graph cannot do this, or a graph is to be what it is not: sealed, or not sealed."""

    code = "graph_sealed"


class NoMasterKeyError(PayloadUnreadableError):
    """A sealed payload does not open here: this process lacks the master key that others may have."""
