"""Two secrets at once, as long as a fleet goes from one to the other: both prove, and one alone is used."""

import uuid
from pathlib import Path

import pytest

from argosy.gateway.stream.place_cipher import PlaceCipher
from argosy.rpc.call_signing import CALL_HEADER, Opening, call_key, header_of, opening_of
from argosy.rpc.peer import Peer
from argosy.rpc.server import RpcServer
from argosy.rpc.signed_call import Callee, CallError
from argosy.rpc.signing import SignatureError
from argosy.secret import keys_of, load_keys
from tests.harness.silent import SILENT
from tests.rpc.kinds import KEY, METHODS, Kinds, Text

OTHER, FOREIGN = b"o" * 32, b"f" * 32
OLD, NEW = "0" * 32, "1" * 32


@pytest.mark.parametrize("kind", METHODS)
async def test_a_worker_takes_calls_under_both_and_no_others(kind: str) -> None:
    worker_id, kinds = uuid.uuid4(), Kinds()
    server = RpcServer(key=KEY, worker_id=worker_id, host="127.0.0.1", port=0, silent=SILENT, previous=OTHER)
    await server.start(kinds)
    callee = Callee(worker_id, server.address)
    try:
        for key in (KEY, OTHER):
            async with Peer(callee, key) as peer:
                call = await peer.open(METHODS[kind])
                await call.write(Text(text="a"))
                await call.end()
                assert await call.read() is not None  # signed under the key of the call, or it would not be believed
        async with Peer(callee, FOREIGN) as peer:
            with pytest.raises(CallError):
                await (await peer.open(METHODS[kind])).read()
        assert kinds.heard == ["a", "a"]
    finally:
        await server.stop()


def test_a_shard_takes_calls_under_both_and_answers_under_the_one_of_the_call() -> None:
    opening, method = Opening.of_now(uuid.uuid4(), 1), "/argosy.rpc.v2.Shard/List"
    for key in (KEY, OTHER):
        header = {CALL_HEADER: header_of(opening, call_key(key, method, opening))}

        assert opening_of(header, (KEY, OTHER), method) == (opening, call_key(key, method, opening))
    with pytest.raises(SignatureError):
        opening_of({CALL_HEADER: header_of(opening, call_key(FOREIGN, method, opening))}, (KEY, OTHER), method)


def test_places_are_read_under_both_and_sealed_under_one() -> None:
    session = uuid.uuid4()
    both, before, after = (PlaceCipher(KEY, session, OTHER), PlaceCipher(OTHER, session), PlaceCipher(KEY, session))

    assert both.unseal(before.seal(7)) == both.unseal(after.seal(7)) == 7
    assert both.seal(7) == after.seal(7)
    with pytest.raises(ValueError, match="not given out"):
        both.unseal(PlaceCipher(FOREIGN, session).seal(7))


def test_each_purpose_has_a_key_of_the_secret_before() -> None:
    keys = load_keys(NEW, Path("/nonexistent"), f" {OLD}\n")

    assert keys == keys_of(NEW.encode())._replace(previous=keys_of(OLD.encode()))
    assert load_keys(NEW, Path("/nonexistent")).previous is None
