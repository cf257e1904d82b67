"""When each alert fires, and when it does not: series as promtool writes them, a sample a minute unless said.

`quiet`: a moment before, at which it must not fire on the same series. `fires`: one at which it must, with `labels`.
"""

from typing import Final, NamedTuple


class Case(NamedTuple):
    alert: str
    series: dict[str, str]
    quiet: str
    fires: str
    labels: dict[str, str] = {}
    interval: str = "1m"


class Calm(NamedTuple):
    """Series on which an alert must not fire at all."""

    alert: str
    series: dict[str, str]
    at: str


A: Final = {"instance": "a:9100", "job": "argosy-dispatch"}
_A: Final = 'instance="a:9100",job="argosy-dispatch"'
_B: Final = 'instance="b:9100",job="argosy-dispatch"'
_ONCE: Final = "0+0x10 1+0x20"  # 1 from minute 11 on
_TURNS: Final = 'route="/v1/sessions/{session}/turns"'
_SHARD: Final = 'endpoint="shard-1:9010"'

CASES: Final = [
    # argosy-processes
    Case(
        "ArgosyJobDown", {f"up{{{_A}}}": "1+0x5 0+0x10", f"up{{{_B}}}": "1+0x5 0+0x10"}, "7m", "9m", {"job": A["job"]}
    ),
    Case("ArgosyTargetDown", {f"up{{{_A}}}": "1+0x5 0+0x10", f"up{{{_B}}}": "1+0x16"}, "10m", "12m", A),
    Case("ArgosyRestarts", {f"process_start_time_seconds{{{_A}}}": "1 1 2 3 4 5+0x20"}, "4m", "5m", A),
    Case(
        "ArgosyLoopFailing",
        {f'argosy_loop_failing{{{_A},loop="claims"}}': "0+0x2 1+0x10"},
        "7m",
        "9m",
        {**A, "loop": "claims"},
    ),
    Case("ArgosyLoopLate", {f"argosy_loop_lag_seconds{{{_A}}}": "0 0 0 5+0x20"}, "7m", "10m", A),
    Case(
        "ArgosyFilesRunOut",
        {f"process_open_fds{{{_A}}}": "10 90+0x20", f"process_max_fds{{{_A}}}": "100+0x21"},
        "10m",
        "12m",
        A,
    ),
    Case(
        "ArgosyVersionsDiffer",
        {'argosy_build_info{version="1"}': "1+0x200", 'argosy_build_info{version="2"}': "1+0x200"},
        "119m",
        "121m",
    ),
    # argosy-gateway
    Case(
        "ArgosyAvailabilityBurnsFast",
        {
            f'argosy_gateway_requests_total{{{_TURNS},status="202"}}': "0+60x90",
            f'argosy_gateway_requests_total{{{_TURNS},status="503"}}': "0+0x30 0+6x60",
        },
        "33m",
        "50m",
    ),
    Case(
        "ArgosyAvailabilityBurnsSlowly",
        {
            f'argosy_gateway_requests_total{{{_TURNS},status="202"}}': "0+600x20",
            f'argosy_gateway_requests_total{{{_TURNS},status="503"}}': "0+3x20",
        },
        "60m",
        "120m",
        interval="10m",
    ),
    Case(
        "ArgosyAppendsSlow",
        {
            f'argosy_gateway_append_seconds_bucket{{le="{le}"}}': f"0+{n}x30"
            for le, n in (("1.0", 1), ("5.0", 10), ("+Inf", 10))
        },
        "9m",
        "13m",
    ),
    Case("ArgosyCatalogStale", {f"argosy_gateway_cache_age_seconds{{{_A}}}": "0 61+60x20"}, "5m", "8m", A),
    Case("ArgosyIdentityStale", {f"argosy_gateway_identity_age_seconds{{{_A}}}": "0 121+60x9"}, "1m", "3m", A),
    Case("ArgosyTokensExpire", {'argosy_tokens_expiring{within="7d"}': "0 1+0x100"}, "60m", "63m"),
    Case("ArgosyStreamsRefused", {"argosy_gateway_streams_refused_total": _ONCE}, "10m", "12m"),
    Case("ArgosyCredentialsRefused", {'argosy_gateway_requests_refused_total{code="x"}': "0+120x40"}, "14m", "18m"),
    # argosy-turns
    Case(
        "ArgosyLatencyBurnsFast",
        {
            'argosy_turn_queued_seconds_bucket{le="1.0"}': "0+60x30 1830+30x60",
            "argosy_turn_queued_seconds_count": "0+60x95",
        },
        "33m",
        "55m",
    ),
    Case(
        "ArgosyLatencyBurnsSlowly",
        {
            'argosy_turn_queued_seconds_bucket{le="1.0"}': "0+575x20",
            "argosy_turn_queued_seconds_count": "0+600x20",
        },
        "60m",
        "120m",
        interval="10m",
    ),
    Case(
        "ArgosyNobodyOwnsPartitions",
        {f"argosy_partitions_owned{{{each}}}": "32+0x2 0+0x10" for each in (_A, _B)},
        "4m",
        "6m",
    ),
    Case(
        "ArgosyPartitionsUnowned",
        {f"argosy_partitions_owned{{{_A}}}": "32+0x90", f"argosy_partitions_owned{{{_B}}}": "32+0x60 20+0x30"},
        "65m",
        "68m",
    ),
    Case("ArgosyLagGrows", {'argosy_partition_lag{partition="0"}': "0+100x60"}, "25m", "30m"),
    Case(
        "ArgosySlotsFull",
        {"argosy_turns_running": "256+0x30", "argosy_slots": "256+0x30", "argosy_ready_sessions": "5+0x30"},
        "14m",
        "16m",
    ),
    Case(
        "ArgosyTurnTooOld",
        {'argosy_turns_open_oldest_seconds{lane="default",status="queued"}': "3601+60x30"},
        "9m",
        "11m",
        {"lane": "default", "status": "queued"},
    ),
    Case(
        "ArgosyTurnsParked",
        {'argosy_turns_open{lane="default",status="parked"}': "0 1+0x20"},
        "5m",
        "7m",
        {"lane": "default"},
    ),
    Case(
        "ArgosyTurnsFail",
        {
            'argosy_turns_ended_total{status="failed"}': "0+10x60",
            'argosy_turns_ended_total{status="completed"}': "0+5x60",
        },
        "14m",
        "20m",
    ),
    Case("ArgosyDeadLetters", {'argosy_dead_letters_total{code="x"}': "_x10 1+0x60"}, "9m", "12m", {"code": "x"}),
    Case("ArgosySuspects", {'argosy_suspects{state="waiting"}': "0 1+0x30"}, "15m", "18m"),
    Case("ArgosyBuildMissing", {"argosy_turns_waiting_for_build": "0 3+0x20"}, "5m", "7m"),
    Case("ArgosyCensusLate", {"argosy_census_age_seconds": "0 901+60x20"}, "5m", "7m"),
    # argosy-ownership
    Case("ArgosyOwnershipFlaps", {"argosy_rebalances_total": "0+3x30"}, "5m", "20m"),
    Case("ArgosyFencesRefused", {"argosy_fences_refused_total": "0+10x30"}, "4m", "15m"),
    Case("ArgosyLogReplaced", {"argosy_log_replaced_total": _ONCE}, "10m", "12m"),
    Case("ArgosyLogGaps", {"argosy_log_gaps_total": "0+0x5 4+0x20"}, "5m", "15m"),
    # argosy-store
    Case(
        "ArgosyFlushesSlow",
        {
            f'argosy_flush_seconds_bucket{{stream="accept",le="{le}"}}': f"0+{n}x30"
            for le, n in (("1.0", 1), ("5.0", 10), ("+Inf", 10))
        },
        "9m",
        "13m",
        {"stream": "accept"},
    ),
    Case("ArgosyFlushesRepeated", {'argosy_flushes_repeated_total{stream="flush"}': "0+0x5 20+0x20"}, "5m", "8m"),
    Case("ArgosySnapshotHeld", {"argosy_snapshot_held_seconds": "3601+60x20"}, "4m", "6m"),
    Case("ArgosyTurnsUnwritable", {"argosy_turns_unwritable_total": _ONCE}, "10m", "12m"),
    Case("ArgosyPayloadsUnreadable", {"argosy_payloads_unreadable_total": _ONCE}, "10m", "12m"),
    # argosy-shards
    Case(
        "ArgosyShardDown",
        {f"argosy_engine_shard_up{{{each},{_SHARD}}}": "1+0x3 0+0x20" for each in (_A, _B)},
        "5m",
        "7m",
        {"endpoint": "shard-1:9010"},
    ),
    Case(
        "ArgosyShardPartlyAway",
        {f"argosy_engine_shard_up{{{_A},{_SHARD}}}": "0+0x20", f"argosy_engine_shard_up{{{_B},{_SHARD}}}": "1+0x20"},
        "9m",
        "11m",
        {"endpoint": "shard-1:9010"},
    ),
    Case(
        "ArgosyShardWritesRefused",
        {f"argosy_shard_writes_refused_total{{{_A}}}": "0+0x5 7+0x20"},
        "5m",
        "7m",
        {"instance": A["instance"]},
    ),
    Case("ArgosyShardWalGrows", {f"argosy_shard_wal_size_bytes{{{_A}}}": "5e9+0x30"}, "14m", "16m", A),
    Case("ArgosyShardViewsLost", {f"argosy_shard_views_lost_total{{{_A}}}": "0+0x3 10+0x40"}, "3m", "10m", A),
    Case("ArgosyMoveSealed", {"argosy_moves_sealed_seconds": "0 61+60x10"}, "1m", "3m"),
    Case("ArgosyCallsRefused", {"argosy_calls_refused_total": "0+0x3 10+0x20"}, "3m", "6m"),
    # argosy-ingest
    Case("ArgosyIngestBehind", {'argosy_ingest_lag{partition="0"}': "0+100x80"}, "40m", "45m"),
    Case("ArgosyIngestPaused", {"argosy_ingest_partitions_paused": "0 1+0x30"}, "15m", "18m"),
    # argosy-maintenance
    Case("ArgosyMaintenanceAway", {'argosy_leader{role="trim"}': "1+0x3 stale"}, "8m", "11m"),
    Case(
        "ArgosyRoleWithoutLeader",
        {f'argosy_leader{{{_A},role="trim"}}': "1+0x3 0+0x20", f'argosy_leader{{{_B},role="trim"}}': "0+0x24"},
        "8m",
        "10m",
        {"role": "trim"},
    ),
    Case(
        "ArgosyLeaderTicksFail",
        {'argosy_leader_ticks_total{outcome="failed",role="trim"}': "0+0x3 10+0x40"},
        "3m",
        "8m",
        {"role": "trim"},
    ),
    Case("ArgosyErasureLate", {"argosy_erasures_waiting_seconds": "601+60x20"}, "4m", "6m"),
    # argosy-watchers
    Case("ArgosyRulesFail", {'prometheus_rule_evaluation_failures_total{rule_group="x"}': _ONCE}, "10m", "12m"),
    Case("ArgosyAlertsNotSent", {'prometheus_notifications_errors_total{alertmanager="x"}': "0+1x40"}, "9m", "13m"),
    Case("ArgosyPrometheusDiskFails", {"prometheus_tsdb_compactions_failed_total": _ONCE}, "10m", "12m"),
]

CALM: Final = [
    Calm("ArgosyLagGrows", {'argosy_partition_lag{partition="0"}': "100000-100x60"}, "50m"),
    Calm("ArgosyIngestBehind", {'argosy_ingest_lag{partition="0"}': "100000-100x60"}, "50m"),
    Calm("ArgosyDeadLetters", {'argosy_dead_letters_total{code="x"}': "5+0x60"}, "40m"),
    Calm(
        "ArgosySlotsFull",
        {"argosy_turns_running": "256+0x30", "argosy_slots": "256+0x30", "argosy_ready_sessions": "0+0x30"},
        "30m",
    ),
    # One request in an hour that fails is no reason to wake anybody.
    Calm(
        "ArgosyAvailabilityBurnsFast",
        {f'argosy_gateway_requests_total{{{_TURNS},status="503"}}': "0+0x10 1+0x60"},
        "30m",
    ),
    # A gateway that is not ready says so to probes by 503, and fails nobody.
    Calm(
        "ArgosyAvailabilityBurnsFast",
        {
            f'argosy_gateway_requests_total{{{_TURNS},status="202"}}': "0+60x90",
            'argosy_gateway_requests_total{route="/readyz",status="503"}': "0+60x90",
        },
        "60m",
    ),
    # A partition that has two owners for a moment, as two scrapes see it.
    Calm(
        "ArgosyPartitionsUnowned",
        {f"argosy_partitions_owned{{{_A}}}": "32+0x30 33 32+0x60", f"argosy_partitions_owned{{{_B}}}": "32+0x95"},
        "60m",
    ),
    Calm("ArgosyTurnsFail", {'argosy_turns_ended_total{status="failed"}': "0+1x60"}, "40m"),
]
