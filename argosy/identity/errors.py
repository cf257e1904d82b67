"""What can be wrong with a request about tenants and tokens."""

from argosy.errors import CallerError


class TenantNotFoundError(CallerError):
    code = "tenant_not_found"


class TenantExistsError(CallerError):
    code = "tenant_exists"


class TokenNotFoundError(CallerError):
    """There is no such token, or it has ended and cannot be rotated."""

    code = "token_not_found"


class TokenRotatedError(CallerError):
    """A token has a successor already."""

    code = "token_rotated"


class TooManyRevocationsError(CallerError):
    code = "too_many_revocations"


class TooManyTokensError(CallerError):
    code = "too_many_tokens"
