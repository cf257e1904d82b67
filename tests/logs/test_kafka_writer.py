"""What becomes of an append that Kafka refuses."""

import asyncio
import os
import threading

import pytest
from confluent_kafka import KafkaError
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from argosy.clock import SystemClock
from argosy.config import Settings
from argosy.log import Entry, Outcome
from argosy.logs.kafka_writer import KafkaWriter
from argosy.logs.topic import turns_topic
from tests.contract.conftest import until
from tests.harness.logs import ensure_turns


class StillClock(SystemClock):
    """Time stands still, so that an answer of the broker comes sooner than a retry, however slow the machine is."""

    def monotonic_s(self) -> float:
        return 1_000.0


class LateAnswersClock(SystemClock):
    """What the writer's poll thread is told comes a second after the append, which the event loop's thread made."""

    def monotonic_s(self) -> float:
        is_loop = threading.current_thread() is threading.main_thread()
        return 1_000.0 if is_loop else 1_001.0


async def take_only_small(settings: Settings) -> None:
    """Return when the broker refuses records over 1,000 bytes: it answers a change before it acts on it."""
    admin = AdminClient({"bootstrap.servers": settings.kafka_bootstrap_servers, "log_level": 0})
    entry = ConfigEntry("max.message.bytes", "1000", incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, settings.topic, incremental_configs=[entry])
    await asyncio.wrap_future(admin.incremental_alter_configs([resource])[resource])
    writer = await KafkaWriter.open(settings, turns_topic(settings), SystemClock())

    async def refuses() -> bool:
        [appended] = await writer.append([Entry(0, b"", os.urandom(2_000))])
        return appended.outcome is not Outcome.APPENDED

    await until(refuses)
    await writer.close()


async def test_a_record_that_the_broker_finds_too_large_is_certainly_not_appended(kafka_settings: Settings) -> None:
    await ensure_turns(kafka_settings, "")
    await take_only_small(kafka_settings)
    writer = await KafkaWriter.open(kafka_settings, turns_topic(kafka_settings), StillClock())

    [refused] = await writer.append([Entry(0, b"", os.urandom(2_000))])

    assert refused.outcome is Outcome.NOT_APPENDED
    assert "MSG_SIZE_TOO_LARGE" in refused.reason
    assert (await writer.append([Entry(0, b"", b"small")]))[0].outcome is Outcome.APPENDED
    await writer.close()


async def test_a_rejection_that_may_be_that_of_a_second_try_is_not_certain(kafka_settings: Settings) -> None:
    await ensure_turns(kafka_settings, "")
    await take_only_small(kafka_settings)
    writer = await KafkaWriter.open(kafka_settings, turns_topic(kafka_settings), LateAnswersClock())

    [refused] = await writer.append([Entry(0, b"", os.urandom(2_000))])

    assert refused.outcome is Outcome.UNKNOWN
    assert "MSG_SIZE_TOO_LARGE" in refused.reason
    await writer.close()


async def test_a_record_over_the_clients_own_bound_is_refused_alone(kafka_settings: Settings) -> None:
    await ensure_turns(kafka_settings, "")
    writer = await KafkaWriter.open(kafka_settings, turns_topic(kafka_settings), SystemClock())

    appended = await writer.append([Entry(0, b"", b"a"), Entry(0, b"", bytes(3_000_000)), Entry(0, b"", b"b")])

    assert [each.outcome for each in appended] == [Outcome.APPENDED, Outcome.NOT_APPENDED, Outcome.APPENDED]
    assert [each.position for each in appended] == [0, -1, 1]
    await writer.close()


async def test_a_producer_that_met_a_fatal_error_is_replaced(kafka_settings: Settings) -> None:
    await ensure_turns(kafka_settings, "")
    writer = await KafkaWriter.open(kafka_settings, turns_topic(kafka_settings), SystemClock())
    await writer.append([Entry(0, b"", b"a")])
    before = writer._producer

    writer._on_error(KafkaError(KafkaError._FATAL, "out of order sequence number", fatal=True))
    await until(lambda: writer._producer is not before)

    [appended] = await writer.append([Entry(0, b"", b"b")])
    assert (appended.outcome, appended.position) == (Outcome.APPENDED, 1)
    await writer.close()


async def test_a_writer_does_not_survive_a_fork(kafka_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    await ensure_turns(kafka_settings, "")
    writer = await KafkaWriter.open(kafka_settings, turns_topic(kafka_settings), SystemClock())
    with monkeypatch.context() as patched:
        patched.setattr(os, "getpid", lambda: 1)

        with pytest.raises(RuntimeError, match="fork"):
            await writer.append([Entry(0, b"", b"a")])

    await writer.close()


async def test_appends_that_find_others_in_flight_are_collected_and_none_is_lost(kafka_settings: Settings) -> None:
    await ensure_turns(kafka_settings, "")
    writer = await KafkaWriter.open(kafka_settings, turns_topic(kafka_settings), SystemClock())

    answers = await asyncio.gather(*(writer.append([Entry(0, b"", b"%d" % number)]) for number in range(100)))

    assert {one.outcome for (one,) in answers} == {Outcome.APPENDED}
    await writer.close()


async def test_an_append_that_a_close_meets_while_it_is_collected_is_certainly_not_appended(
    kafka_settings: Settings,
) -> None:
    await ensure_turns(kafka_settings, "")
    settings = kafka_settings.model_copy(update={"kafka_linger_ms": 200.0})
    writer = await KafkaWriter.open(settings, turns_topic(settings), SystemClock())
    others = [asyncio.create_task(writer.append([Entry(0, b"", b"x")])) for _ in range(8)]
    await asyncio.sleep(0)  # four are in flight, four wait

    await writer.close()

    outcomes = [(await each)[0].outcome for each in others]
    assert outcomes[4:] == [Outcome.NOT_APPENDED] * 4
    assert Outcome.NOT_APPENDED not in outcomes[:4]


async def test_the_time_in_which_an_append_is_collected_counts(kafka_settings: Settings) -> None:
    """Nobody looks for a turn in the log for longer than that."""
    await ensure_turns(kafka_settings, "")
    update = {"kafka_linger_ms": 1_000.0, "log_append_timeout_s": 0.2}
    writer = await KafkaWriter.open(
        kafka_settings.model_copy(update=update), turns_topic(kafka_settings), SystemClock()
    )
    others = [asyncio.create_task(writer.append([Entry(0, b"", b"x")])) for _ in range(5)]
    await asyncio.sleep(0)

    (late,) = await others[4]

    assert late.outcome is Outcome.UNKNOWN
    await writer.close()
