"""What gateways count."""

from typing import Final

from argosy.telemetry.room import LATENCY_S, Room

_ROOM: Final = Room("Gateways")

REQUESTS = _ROOM.counter("argosy_gateway_requests", "HTTP requests", ["route", "status"])
REQUEST_S = _ROOM.histogram("argosy_gateway_request_seconds", "Time until an answer begins", ["route"])
APPENDS = _ROOM.counter("argosy_gateway_appends", "Turns handed to the log, by outcome", ["outcome"])
APPEND_S = _ROOM.seconds(
    "argosy_gateway_append_seconds",
    "Time of one append of turns, from when the log was given them until it answered for all of them; of a request, "
    "also of a batch, one",
    buckets=LATENCY_S,
)
RATE_LIMITED = _ROOM.counter("argosy_gateway_rate_limited", "Requests refused by a limit, by what it is of", ["kind"])
CONNECTIONS_REFUSED = _ROOM.counter(
    "argosy_gateway_connections_refused", "Connections closed, by the bound passed", ["why"]
)
STREAMS = _ROOM.gauge("argosy_gateway_streams", "Event streams that clients have open")
STREAMS_REFUSED = _ROOM.counter("argosy_gateway_streams_refused", "Event streams refused for want of room")
UPLOADS = _ROOM.gauge("argosy_gateway_uploads", "Uploads into graphs under way")
UPLOADED_BYTES = _ROOM.counter("argosy_gateway_upload_bytes", "Bytes of uploaded lines handed to the log")
STREAM_READS = _ROOM.counter("argosy_gateway_stream_reads", "Reads of history for event streams", ["why"])
WATCH_LINES = _ROOM.gauge("argosy_gateway_watch_lines", "Workers to which this process is connected, for live events")
IDENTITY_AGE_S = _ROOM.gauge(
    "argosy_gateway_identity_age_seconds", "Age of the copy of tokens and tenants; -1: none yet"
)
TOKENS_EXPIRING = _ROOM.gauge(
    "argosy_tokens_expiring", "Tokens that expire within a time, as this process knows", ["within"]
)
REQUESTS_REFUSED = _ROOM.counter(
    "argosy_gateway_requests_refused", "Requests refused for who asked, by the answer", ["code"]
)
CACHE_AGE_S = _ROOM.gauge("argosy_gateway_cache_age_seconds", "Age of the cache of workflows and owners")
