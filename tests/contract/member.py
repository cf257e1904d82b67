"""A member of a log in a process of its own, for tests that kill it: python member.py SETTINGS_JSON DSN LANE."""

import asyncio
import sys

from argosy.config import Settings
from argosy.logs.open import open_reader
from argosy.logs.topic import Topic, topic_of_lane


async def main(settings: Settings, dsn: str, topic: Topic) -> None:
    def on_eligible(partitions: frozenset[int]) -> None:
        for partition in partitions:
            reader.start(partition, 0, 1)
        print(len(partitions), flush=True)

    reader = open_reader(settings, dsn, topic)
    await reader.open(lambda batch: None, on_eligible)
    await asyncio.to_thread(sys.stdin.read)  # until the test closes the pipe, or is gone


read_settings = Settings.model_validate_json(sys.argv[1])
asyncio.run(main(read_settings, sys.argv[2], topic_of_lane(read_settings, sys.argv[3])))
