"""Fleet: is everything there, and what does it take."""

from typing import Final

from deploy.grafana.board import RATE, Board, Number, Panel, Row, quantile, rate

_OURS: Final = '{job=~".*argosy.*"}'
_ASKED: Final = '{route!~"/healthz|/readyz|/metrics"}'

FLEET: Final = Board(
    "fleet",
    "Argosy: fleet",
    "Whether every process is there and healthy, what gateways answer, who leads, and what it all takes.",
    numbers=[
        Number("Processes", "Processes that answer a scrape.", {"": f"sum(up{_OURS})"}),
        Number(
            "Processes away",
            "Processes that Prometheus knows and that do not answer.",
            {"": f"count(up{_OURS}) - sum(up{_OURS})"},
            red_from=1,
        ),
        Number(
            "Versions",
            "Versions that run side by side: two while an upgrade rolls.",
            {"": "count(count by (version) (argosy_build_info))"},
            red_from=2,
        ),
        Number(
            "Loops that fail",
            "Loops of processes whose last round failed: docs/operate/alerts.md, ArgosyLoopFailing.",
            {"": "sum(argosy_loop_failing)"},
            red_from=1,
        ),
        Number("Alerts", "Alerts that fire.", {"": 'count(ALERTS{alertstate="firing"}) or vector(0)'}, red_from=1),
    ],
    rows=[
        Row(
            "Gateways",
            [
                Panel(
                    "Requests",
                    "Requests a second by status; probes and scrapes do not count.",
                    {"{{status}}": rate("argosy_gateway_requests_total", "status", _ASKED)},
                    "reqps",
                ),
                Panel(
                    "Time until an answer begins",
                    "Of every request but probes and scrapes.",
                    {
                        "p50": quantile(0.5, "argosy_gateway_request_seconds", where=_ASKED),
                        "p99": quantile(0.99, "argosy_gateway_request_seconds", where=_ASKED),
                    },
                    "s",
                ),
                Panel(
                    "Handing turns to the log",
                    "Time of one append, of a batch one.",
                    {
                        "p50": quantile(0.5, "argosy_gateway_append_seconds"),
                        "p99": quantile(0.99, "argosy_gateway_append_seconds"),
                    },
                    "s",
                ),
                Panel(
                    "Streams and uploads",
                    "Event streams that clients have open, and uploads under way.",
                    {"streams": "sum(argosy_gateway_streams)", "uploads": "sum(argosy_gateway_uploads)"},
                ),
                Panel(
                    "Refused",
                    "What was refused: requests by the limit passed or for who asked, streams for want of room.",
                    {
                        "limit: {{kind}}": rate("argosy_gateway_rate_limited_total", "kind"),
                        "credential: {{code}}": rate("argosy_gateway_requests_refused_total", "code"),
                        "streams": rate("argosy_gateway_streams_refused_total"),
                    },
                    "reqps",
                ),
                Panel(
                    "Age of what gateways remember",
                    "Of the cache of workflows and owners, and of the copy of tokens and tenants.",
                    {
                        "workflows, owners": "max(argosy_gateway_cache_age_seconds)",
                        "tokens, tenants": "max(argosy_gateway_identity_age_seconds)",
                    },
                    "s",
                ),
            ],
        ),
        Row(
            "Ownership and leaders",
            [
                Panel(
                    "Partitions owned",
                    "By worker: their sum is the number of partitions of the topic.",
                    {"{{instance}}": "sum by (instance) (argosy_partitions_owned)"},
                ),
                Panel(
                    "Changes of ownership",
                    "Partitions claimed, taken over from the dead, and what the log gave and took.",
                    {
                        "claims": rate("argosy_claims_total"),
                        "adoptions": rate("argosy_adoptions_total"),
                        "rebalances": rate("argosy_rebalances_total"),
                        "fences refused": rate("argosy_fences_refused_total"),
                    },
                    "ops",
                ),
                Panel(
                    "Leaders",
                    "How many processes say that they lead a role: one each.",
                    {"{{role}}": "sum by (role) (argosy_leader)"},
                    red_from=2,
                ),
                Panel(
                    "Terms of leaders",
                    "A term that grows often: leaders lose their sessions at Postgres.",
                    {"{{role}}": "max by (role) (argosy_leader_term)"},
                ),
                Panel(
                    "Time of a leader's tick",
                    "p99 by role.",
                    {"{{role}}": quantile(0.99, "argosy_leader_tick_seconds", "role")},
                    "s",
                ),
                Panel(
                    "Size of the log",
                    "By lane, replicas not counted.",
                    {"{{lane}}": "max by (lane) (argosy_log_size_bytes)"},
                    "bytes",
                ),
            ],
        ),
        Row(
            "Processes",
            [
                Panel(
                    "CPU",
                    "Cores that each process uses.",
                    {"{{job}} {{instance}}": f"rate(process_cpu_seconds_total{_OURS}[{RATE}])"},
                ),
                Panel(
                    "Memory",
                    "In RAM, of each process.",
                    {"{{job}} {{instance}}": f"process_resident_memory_bytes{_OURS}"},
                    "bytes",
                ),
                Panel(
                    "Open files",
                    "As a part of what each process may have open.",
                    {"{{job}} {{instance}}": f"process_open_fds{_OURS} / process_max_fds{_OURS}"},
                    "percentunit",
                    red_from=0.8,
                ),
                Panel(
                    "Event loops are late by",
                    "What blocks a loop holds up every turn of its worker.",
                    {"{{instance}}": "max by (instance) (argosy_loop_lag_seconds)"},
                    "s",
                    red_from=1,
                ),
                Panel(
                    "Errors that loops outlived",
                    "By loop and by what they mean.",
                    {"{{loop}} {{fault}}": rate("argosy_loop_errors_total", "loop, fault")},
                    "ops",
                ),
                Panel(
                    "Oldest transaction in Postgres",
                    "One that is old keeps dead rows.",
                    {"age": "max(argosy_snapshot_held_seconds)"},
                    "s",
                    red_from=3600,
                ),
            ],
        ),
    ],
)
