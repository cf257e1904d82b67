"""The blocking client is the asyncio one, word for word but for what blocks."""

from generate_sync_client import TARGET, generated


def test_the_blocking_client_is_generated_from_the_asyncio_one_of_now() -> None:
    assert TARGET.read_text() == generated(), "run: .venv/bin/python generate_sync_client.py"
