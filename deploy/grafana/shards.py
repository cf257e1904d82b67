"""Shards: do graphs answer, how full are they, and does ingest keep up."""

from typing import Final

from deploy.grafana.board import Board, Number, Panel, Row, quantile, rate

SHARDS: Final = Board(
    "shards",
    "Argosy: shards and ingest",
    "Whether graphs answer, how quickly and at what cost, what moves, and whether ingest keeps up.",
    numbers=[
        Number(
            "Shards away",
            "Shards that did not answer a process that asked them last.",
            {"": "count(min by (endpoint) (argosy_engine_shard_up) == 0) or vector(0)"},
            red_from=1,
        ),
        Number(
            "Breakers open",
            "Shards that a process leaves alone for now.",
            {"": "count(max by (endpoint) (argosy_engine_breaker_state) > 0) or vector(0)"},
            red_from=1,
        ),
        Number("Graphs", "By the directory.", {"": "sum(max by (endpoint) (argosy_shard_graphs))"}),
        Number("Ingest behind", "Records that are not in their graph yet.", {"": "sum(argosy_ingest_lag)"}),
        Number(
            "Graphs take no writes for",
            "The one that is moved for longest.",
            {"": "max(argosy_moves_sealed_seconds)"},
            "s",
            red_from=30,
        ),
    ],
    rows=[
        Row(
            "As processes ask them",
            [
                Panel(
                    "Calls",
                    "A second, by shard and by what came of them.",
                    {"{{endpoint}} {{outcome}}": rate("argosy_engine_calls_total", "endpoint, outcome")},
                    "ops",
                ),
                Panel(
                    "Calls made again, breakers",
                    "A second, by shard.",
                    {
                        "again: {{endpoint}}": rate("argosy_engine_retries_total", "endpoint"),
                        "opened: {{endpoint}}": rate("argosy_engine_breaker_opened_total", "endpoint"),
                    },
                    "ops",
                ),
                Panel(
                    "Time of the embedder",
                    "Of one call of EMBEDDER.",
                    {
                        "p50": quantile(0.5, "argosy_embedder_seconds"),
                        "p99": quantile(0.99, "argosy_embedder_seconds"),
                    },
                    "s",
                ),
            ],
        ),
        Row(
            "In the shards",
            [
                Panel(
                    "Time of a call",
                    "p99 by method.",
                    {"{{method}}": quantile(0.99, "argosy_shard_call_seconds", "method")},
                    "s",
                ),
                Panel(
                    "Calls that failed",
                    "A second, by method and code.",
                    {
                        "{{method}} {{code}}": rate(
                            "argosy_shard_call_seconds_count", "method, code", '{code!~"(?i)ok"}'
                        )
                    },
                    "ops",
                ),
                Panel(
                    "Writes that wait",
                    "Batches that wait to be written, and batches refused a second because too many wait.",
                    {
                        "{{instance}}": "sum by (instance) (argosy_shard_queue)",
                        "refused: {{instance}}": rate("argosy_shard_writes_refused_total", "instance"),
                    },
                ),
                Panel(
                    "Batches in one commit",
                    "p50 and p99: many in one is what keeps the disk's load low.",
                    {
                        "p50": quantile(0.5, "argosy_shard_commit_batches"),
                        "p99": quantile(0.99, "argosy_shard_commit_batches"),
                    },
                ),
                Panel(
                    "Memory",
                    "Of requests, of batches that wait, and of views for Cypher.",
                    {
                        "requests {{instance}}": "sum by (instance) (argosy_shard_requests_size_bytes)",
                        "batches {{instance}}": "sum by (instance) (argosy_shard_queue_size_bytes)",
                        "views {{instance}}": "sum by (instance) (argosy_shard_view_memory_bytes)",
                    },
                    "bytes",
                ),
                Panel(
                    "Logs of writes",
                    "On disk, of the graphs that are open.",
                    {"{{instance}}": "sum by (instance) (argosy_shard_wal_size_bytes)"},
                    "bytes",
                ),
                Panel(
                    "Open",
                    "Graphs whose files are open, and views that are ready for Cypher.",
                    {
                        "graphs {{instance}}": "sum by (instance) (argosy_shard_graphs_open)",
                        "views {{instance}}": "sum by (instance) (argosy_shard_views)",
                    },
                ),
                Panel(
                    "Threads at work",
                    "Calls that a thread works at, or that wait for one, by kind.",
                    {"{{kind}}": "sum by (kind) (argosy_shard_threads_busy)"},
                ),
                Panel(
                    "Views",
                    "Begun to be built, and lost, a second.",
                    {
                        "begun": rate("argosy_shard_view_builds_total"),
                        "lost": rate("argosy_shard_views_lost_total"),
                    },
                    "ops",
                ),
            ],
        ),
        Row(
            "Moves",
            [
                Panel("Graphs", "By shard.", {"{{endpoint}}": "max by (endpoint) (argosy_shard_graphs)"}),
                Panel("Open", "By state.", {"{{state}}": "max by (state) (argosy_moves)"}),
                Panel("Copied", "Bytes a second.", {"copied": rate("argosy_move_bytes_total")}, "Bps"),
            ],
        ),
        Row(
            "Ingest",
            [
                Panel(
                    "Lines",
                    "A second, by outcome.",
                    {"{{outcome}}": rate("argosy_ingest_lines_total", "outcome")},
                    "ops",
                ),
                Panel(
                    "Behind",
                    "Records that are not in their graph yet: of uploads, and of topics of others.",
                    {
                        "uploads": "sum(argosy_ingest_lag)",
                        "{{topic}}": "sum by (topic) (argosy_ingest_topic_lag)",
                    },
                ),
                Panel(
                    "One batch at a shard",
                    "Its time.",
                    {
                        "p50": quantile(0.5, "argosy_ingest_batch_seconds"),
                        "p99": quantile(0.99, "argosy_ingest_batch_seconds"),
                    },
                    "s",
                ),
                Panel(
                    "Held",
                    "Size of records that were read and are not done, by worker.",
                    {"{{instance}}": "sum by (instance) (argosy_ingest_held_size_bytes)"},
                    "bytes",
                ),
                Panel(
                    "Paused",
                    "Partitions that wait for graphs that wait.",
                    {"{{instance}}": "sum by (instance) (argosy_ingest_partitions_paused)"},
                    red_from=1,
                ),
                Panel(
                    "Jobs ended",
                    "A second, by state.",
                    {"{{state}}": rate("argosy_ingest_jobs_ended_total", "state")},
                    "ops",
                ),
            ],
        ),
    ],
)
