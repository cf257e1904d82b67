"""Turns: do they go through, where do they wait, and what fails."""

from typing import Final

from deploy.grafana.board import Board, Number, Panel, Row, quantile, rate

TURNS: Final = Board(
    "turns",
    "Argosy: turns",
    "How many turns come, end and wait, where their time goes, and what fails.",
    numbers=[
        Number("Accepted a second", "Records that became turns.", {"": rate("argosy_turns_accepted_total")}, "ops"),
        Number("Run now", "Turns that hold a slot.", {"": "sum(argosy_turns_running)"}),
        Number(
            "Slots in use",
            "As a part of all slots: at 1, more workers (or slots) help.",
            {"": "sum(argosy_turns_running) / sum(argosy_slots)"},
            "percentunit",
            red_from=0.9,
        ),
        Number("Records in the log", "Not accepted yet.", {"": "sum(argosy_partition_lag)"}, red_from=1000),
        Number(
            "Parked",
            "They wait for an operator: docs/operate/alerts.md, ArgosyTurnsParked.",
            {"": 'sum(argosy_turns_open{status="parked"})'},
            red_from=1,
        ),
        Number("Dead letters", "Kept: argosy dead-letters list.", {"": "sum(argosy_dead_letters_kept)"}, red_from=1),
    ],
    rows=[
        Row(
            "How many",
            [
                Panel(
                    "Come and go",
                    "Turns accepted and ended a second, by how they ended.",
                    {
                        "accepted": rate("argosy_turns_accepted_total"),
                        "{{status}}": rate("argosy_turns_ended_total", "status"),
                    },
                    "ops",
                ),
                Panel(
                    "Open",
                    "Turns that have not ended by status, as of the last census.",
                    {"{{status}}": "sum by (status) (argosy_turns_open)"},
                ),
                Panel(
                    "Oldest",
                    "Age of the oldest turn of a status, as of the last census. Suspended ones may be of any age.",
                    {"{{status}}": "max by (status) (argosy_turns_open_oldest_seconds)"},
                    "s",
                ),
                Panel(
                    "Demand",
                    "What the autoscaler of k8s/ goes by: turns that run, and sessions that could and have no slot.",
                    {
                        "running": "sum(argosy_turns_running)",
                        "ready": "sum(argosy_ready_sessions)",
                        "slots": "sum(argosy_slots)",
                    },
                ),
                Panel(
                    "Lag",
                    "Records that are not accepted yet: the partition that is worst, and all.",
                    {"worst": "max(argosy_partition_lag)", "all": "sum(argosy_partition_lag)"},
                ),
                Panel(
                    "Builds",
                    "Turns whose worker cannot run them: nobody does, or another worker runs them for it.",
                    {
                        "nobody": "sum(argosy_turns_waiting_for_build)",
                        "another": "sum(argosy_turns_lent)",
                    },
                ),
            ],
        ),
        Row(
            "Where time goes",
            [
                Panel(
                    "In the log",
                    "From its gateway until a turn was accepted.",
                    {"p50": quantile(0.5, "argosy_turn_log_seconds"), "p99": quantile(0.99, "argosy_turn_log_seconds")},
                    "s",
                ),
                Panel(
                    "Queued",
                    "From when it was accepted, or fell due, until it began. The objective: 99 % within a second.",
                    {
                        "p50": quantile(0.5, "argosy_turn_queued_seconds"),
                        "p99": quantile(0.99, "argosy_turn_queued_seconds"),
                    },
                    "s",
                    red_from=1,
                ),
                Panel(
                    "From end to end",
                    "Until the end was durable; turns that were suspended by themselves.",
                    {
                        "p50, waited: {{waited}}": quantile(0.5, "argosy_turn_seconds", "waited"),
                        "p99, waited: {{waited}}": quantile(0.99, "argosy_turn_seconds", "waited"),
                    },
                    "s",
                ),
                Panel(
                    "Suspended",
                    "p99 of how long turns waited, by what for.",
                    {"{{waits_for}}": quantile(0.99, "argosy_turn_suspended_seconds", "waits_for")},
                    "s",
                ),
                Panel(
                    "One try of a step",
                    "Of the code of your workflows.",
                    {"p50": quantile(0.5, "argosy_step_seconds"), "p99": quantile(0.99, "argosy_step_seconds")},
                    "s",
                ),
                Panel(
                    "One flush to Postgres",
                    "p99 by stream: accept (new turns), flush (what turns did).",
                    {"{{stream}}": quantile(0.99, "argosy_flush_seconds", "stream")},
                    "s",
                    red_from=1,
                ),
            ],
        ),
        Row(
            "What fails",
            [
                Panel(
                    "Tries of steps",
                    "A second, by outcome.",
                    {"{{outcome}}": rate("argosy_steps_total", "outcome")},
                    "ops",
                ),
                Panel(
                    "Parked, and dead letters",
                    "A second, by reason.",
                    {
                        "parked: {{reason}}": rate("argosy_turns_parked_total", "reason"),
                        "dead letter: {{code}}": rate("argosy_dead_letters_total", "code"),
                    },
                    "ops",
                ),
                Panel(
                    "Suspects",
                    "Turns that may be the cause of workers' crashes, by what they do.",
                    {"{{state}}": "sum by (state) (argosy_suspects)"},
                    red_from=1,
                ),
                Panel(
                    "Turns in one flush",
                    "p50 by stream: many in one is what keeps Postgres's load low.",
                    {"{{stream}}": quantile(0.5, "argosy_flush_turns", "stream")},
                ),
                Panel(
                    "Flushes",
                    "Flushes a second; repeated: their outcome was unknown; split: Postgres refused them whole.",
                    {
                        "{{stream}}": rate("argosy_flushes_total", "stream"),
                        "repeated: {{stream}}": rate("argosy_flushes_repeated_total", "stream"),
                        "split: {{why}}": rate("argosy_flushes_split_total", "why"),
                    },
                    "ops",
                ),
                Panel(
                    "Threads",
                    "Calls that wait for a thread, and threads whose call was given up and goes on.",
                    {
                        "waited for: {{kind}}": "sum by (kind) (argosy_threads_waited_for)",
                        "abandoned: {{kind}}": "sum by (kind) (argosy_threads_abandoned)",
                    },
                ),
            ],
        ),
    ],
)
