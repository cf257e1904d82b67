"""What a tenant may do: rates of requests, and how many streams it may have open. Pure."""

from contextlib import suppress
from typing import Annotated, Final

import msgspec

_Rate = Annotated[float, msgspec.Meta(ge=0, le=1_000_000)]
_Burst = Annotated[float, msgspec.Meta(ge=0, le=10_000_000)]
_Streams = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]


class TenantLimits(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A tenant's own limits, for all gateways together. None: as the settings say. A rate of 0: no limit; a burst of 0:
    twice the rate.
    """

    turns_per_s: _Rate | None = None
    turns_burst: _Burst | None = None
    signals_per_s: _Rate | None = None
    signals_burst: _Burst | None = None
    graph_calls_per_s: _Rate | None = None
    graph_calls_burst: _Burst | None = None
    streams: _Streams | None = None


class LimitsChange(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """What becomes of a tenant's own limits. null: it has none of its own any more. Those that are not there stay."""

    turns_per_s: _Rate | msgspec.UnsetType | None = msgspec.UNSET
    turns_burst: _Burst | msgspec.UnsetType | None = msgspec.UNSET
    signals_per_s: _Rate | msgspec.UnsetType | None = msgspec.UNSET
    signals_burst: _Burst | msgspec.UnsetType | None = msgspec.UNSET
    graph_calls_per_s: _Rate | msgspec.UnsetType | None = msgspec.UNSET
    graph_calls_burst: _Burst | msgspec.UnsetType | None = msgspec.UNSET
    streams: _Streams | msgspec.UnsetType | None = msgspec.UNSET


NO_LIMITS_OF_ITS_OWN: Final = TenantLimits()
_stored: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


def read_limits(text: str | None) -> TenantLimits:
    """Return the limits that a row has. What this version does not know, or would not have written, is passed over:
    one row of a later version must not keep a gateway from reading all others.
    """
    if text is None:
        return NO_LIMITS_OF_ITS_OWN
    limits = NO_LIMITS_OF_ITS_OWN
    for name, value in _stored.decode(text).items():
        with suppress(msgspec.ValidationError):
            read = msgspec.convert({name: msgspec.json.decode(value)}, TenantLimits, strict=False)
            limits = msgspec.structs.replace(limits, **{name: getattr(read, name)})
    return limits
