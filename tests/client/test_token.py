"""What both clients do with a token: whom they send it to, when they ask for another one, and where it is not seen."""

import asyncio
import logging
import threading
import traceback
from collections.abc import Callable

import pytest

from argosy import AsyncClient, Client
from argosy.client import ForbiddenError, GatewayUnreachableError, ProblemError, UnauthenticatedError
from argosy.client.credential import Bearer, Credential
from argosy.errors import CallerError
from argosy.identity.api_token import TokenKind, mint
from tests.client.both import Both
from tests.client.scripted import BROKEN, TURN, Said, Scripted, answer, event, problem, stream, turn
from tests.harness.processes import free_port

TOKEN, NEXT = mint(TokenKind.TENANT), mint(TokenKind.TENANT)
REFUSED = problem(401, "invalid_token")
DONE = turn("completed", result=7)
STARTED = event("1-1", "turn.started", 1)
ENDED = event("1-2", "turn.completed", 2)
NO_LONGER = 'event: error\ndata: {"code": "invalid_token", "status": 401}\n\n'
JOB = answer(
    202, job_id=TURN, graph="notes", status="running", received_lines=1, lines=1, created_at="2026-01-01T00:00:00Z"
)


def sent_to(gateway: Scripted) -> list[str | None]:
    return [each.headers.get("authorization") for each in gateway.asked]


def tokens(*given: str) -> tuple[Callable[[], str], list[str]]:
    """A function that returns one token after the other, the last one again and again; and what it was asked for."""
    asked: list[str] = []

    def source() -> str:
        asked.append(given[min(len(asked), len(given) - 1)])
        return asked[-1]

    return source, asked


async def test_a_token_goes_with_every_request(client: Both, gateway: Scripted) -> None:
    gateway.will_say(answer(202, turn_id=TURN, status="accepted"), turn("running"), DONE)

    assert await client.having(token=TOKEN).run(gateway.url) == 7
    assert sent_to(gateway) == [f"Bearer {TOKEN}"] * 3


async def test_without_a_token_nothing_is_said_of_who_asks(client: Both, gateway: Scripted) -> None:
    gateway.will_say(DONE)

    await client.run(gateway.url)

    assert sent_to(gateway) == [None]


async def test_the_token_takes_the_place_of_a_header_of_the_callers(client: Both, gateway: Scripted) -> None:
    gateway.will_say(answer(200))

    asking = client.having(token=TOKEN, headers={"Authorization": "Basic eDp5"})
    await asking.request(gateway.url, method="GET", path="/v1/x", headers={"AUTHORIZATION": "Basic eDp5"})

    assert sent_to(gateway) == [f"Bearer {TOKEN}"]


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (problem(401, "unauthenticated"), UnauthenticatedError),
        (REFUSED, UnauthenticatedError),
        (Said(401, b"<html>"), UnauthenticatedError),
        (problem(403, "insufficient_scope"), ForbiddenError),
        (problem(403, "tenant_required"), ForbiddenError),
    ],
)
async def test_a_refusal_of_a_token_is_an_error_of_its_own_and_is_not_repeated(
    said: Said, error: type[ProblemError], client: Both, gateway: Scripted, other_gateway: Scripted
) -> None:
    gateway.will_say(said)
    other_gateway.will_say(DONE)

    with pytest.raises(error) as raised:
        await client.having(token=TOKEN).run(gateway.url, other_gateway.url)

    assert type(raised.value) is error
    assert (len(gateway.asked), len(other_gateway.asked)) == (1, 0)


async def test_identity_that_cannot_be_asked_now_is_asked_again(client: Both, gateway: Scripted) -> None:
    gateway.will_say(problem(503, "identity_unavailable", is_retryable=True), DONE)

    assert await client.having(token=TOKEN).run(gateway.url) == 7


async def test_a_function_is_asked_once_more_after_a_refusal(client: Both, gateway: Scripted) -> None:
    source, asked = tokens(TOKEN, NEXT)
    gateway.will_say(REFUSED, DONE)

    assert await client.having(token=source).run(gateway.url, key="k1") == 7
    assert sent_to(gateway) == [f"Bearer {TOKEN}", f"Bearer {NEXT}"]
    assert [each.headers["idempotency-key"] for each in gateway.asked] == ["k1", "k1"]
    assert asked == [TOKEN, NEXT]


async def test_a_second_refusal_is_final(client: Both, gateway: Scripted) -> None:
    source, asked = tokens(TOKEN, NEXT)
    gateway.will_say(REFUSED)

    with pytest.raises(UnauthenticatedError):
        await client.having(token=source).run(gateway.url)

    assert (len(gateway.asked), asked) == (2, [TOKEN, NEXT])


async def test_a_function_is_not_asked_again_when_it_is_a_right_that_lacks(client: Both, gateway: Scripted) -> None:
    source, asked = tokens(TOKEN, NEXT)
    gateway.will_say(problem(403, "insufficient_scope"))

    with pytest.raises(ForbiddenError):
        await client.having(token=source).run(gateway.url)

    assert asked == [TOKEN]


def test_many_threads_that_are_refused_ask_for_one_token() -> None:
    source, asked = tokens(TOKEN, NEXT)
    credential = Credential(source, ("http://127.0.0.1:1",))
    bearers = [Bearer(credential) for _ in range(8)]
    for _ in range(2):  # the first token, and the one after the refusal
        threads = [threading.Thread(target=each.ask) for each in bearers]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        renewed = [each.is_renewable(401) for each in bearers]

    assert asked == [TOKEN, NEXT]
    assert len({id(each.auth) for each in bearers}) == 1
    assert renewed == [False] * 8


async def test_a_stream_that_is_ended_goes_on_with_another_token(client: Both, gateway: Scripted) -> None:
    source, asked = tokens(TOKEN, NEXT)
    gateway.will_say(stream(STARTED, NO_LONGER), REFUSED, stream(ENDED))

    events = await client.having(token=source).events(gateway.url)

    assert [each.seq for each in events] == [1, 2]
    assert sent_to(gateway) == [f"Bearer {TOKEN}", f"Bearer {TOKEN}", f"Bearer {NEXT}"]
    assert gateway.asked[2].headers["last-event-id"] == "1-1"
    assert asked == [TOKEN, NEXT]


async def test_a_stream_outlives_any_number_of_tokens(client: Both, gateway: Scripted) -> None:
    source, asked = tokens("one", "two", "three")
    gateway.will_say(stream(STARTED, NO_LONGER), REFUSED, stream(NO_LONGER), REFUSED, stream(ENDED))

    events = await client.having(token=source).events(gateway.url)

    assert [each.seq for each in events] == [1, 2]
    assert asked == ["one", "two", "three"]


async def test_a_stream_of_a_token_that_stays_refused_ends_with_the_refusal(client: Both, gateway: Scripted) -> None:
    gateway.will_say(stream(STARTED, NO_LONGER), REFUSED)

    with pytest.raises(UnauthenticatedError):
        await client.having(token=TOKEN).events(gateway.url)

    assert len(gateway.asked) == 2


async def test_an_upload_begins_again_with_another_token(client: Both, gateway: Scripted) -> None:
    source, _ = tokens(TOKEN, NEXT)
    gateway.will_say(REFUSED, JOB)
    lines = b'{"op": "upsert_node", "id": "n"}\n'

    assert await client.having(token=source).upload(gateway.url, lines) == TURN
    assert sent_to(gateway) == [f"Bearer {TOKEN}", f"Bearer {NEXT}"]
    assert [each.body for each in gateway.asked] == [lines, lines]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(
    status: int, client: Both, gateway: Scripted, other_gateway: Scripted
) -> None:
    gateway.will_say(Said(status, b"", {"location": f"{other_gateway.url}/v1/x"}))
    other_gateway.will_say(answer(200))

    with pytest.raises(ProblemError, match="not_a_gateway"):
        await client.having(token=TOKEN).request(gateway.url, method="GET", path="/v1/x")

    assert other_gateway.asked == []


async def test_a_request_goes_to_no_other_address_than_the_clients(
    client: Both, gateway: Scripted, other_gateway: Scripted
) -> None:
    gateway.will_say(answer(200))
    other_gateway.will_say(answer(200))

    with pytest.raises(CallerError, match="is no path of a gateway"):
        await client.having(token=TOKEN).request(gateway.url, method="GET", path=f"{other_gateway.url}/v1/x")
    await client.having(token=TOKEN).request(
        gateway.url, method="GET", path=other_gateway.url.removeprefix("http:") + "/v1/x"
    )

    assert other_gateway.asked == []


@pytest.mark.parametrize("url", ["http://gateway.example:9000", "http://10.0.0.1", "http://localhost.example"])
@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_a_token_is_not_sent_in_clear_text(kind: type[Client | AsyncClient], url: str) -> None:
    with pytest.raises(CallerError, match=f"a token is not sent to {url}: use https"):
        kind("http://127.0.0.1:9000", url, token=TOKEN)
    kind(url)
    kind(url, token=TOKEN, allow_http=True)


@pytest.mark.parametrize(
    "url", ["https://gateway.example", "unix:/run/socket", "http://127.0.0.2:1", "http://[::1]:1", "http://localhost"]
)
def test_a_token_is_sent_where_nobody_else_reads_it(url: str) -> None:
    Client(url, token=TOKEN)


@pytest.mark.parametrize("token", ["", "two words", "li\nne", "caf\u00e9", "nul\0"])
def test_what_no_header_can_hold_is_refused_and_not_shown(token: str) -> None:
    with pytest.raises(CallerError) as raised:
        Client(token=token)

    assert not token or token not in str(raised.value)


def test_a_header_that_may_be_a_secret_is_not_shown() -> None:
    with pytest.raises(CallerError, match="the header Authorization has other characters") as raised:
        Client(headers={"Authorization": "Bearer caf\u00e9"})

    assert "caf" not in str(raised.value)


async def test_what_a_function_raises_is_raised(client: Both, gateway: Scripted) -> None:
    def away() -> str:
        raise RuntimeError("the vault is sealed")

    with pytest.raises(RuntimeError, match="the vault is sealed"):
        await client.having(token=away).run(gateway.url)

    assert gateway.asked == []


async def test_what_a_function_returns_must_be_a_token(client: Both, gateway: Scripted) -> None:
    with pytest.raises(CallerError, match="what was given as a token is none"):
        await client.having(token=lambda: None).run(gateway.url)

    assert gateway.asked == []


async def test_a_function_that_takes_long_holds_up_nothing_else_on_the_loop(gateway: Scripted) -> None:
    gateway.will_say(DONE)
    is_asked, may_answer = threading.Event(), threading.Event()

    def slow() -> str:
        is_asked.set()
        assert may_answer.wait(10)
        return TOKEN

    async with AsyncClient(gateway.url, token=slow) as client:
        running = asyncio.create_task(client.run("echo"))
        assert await asyncio.to_thread(is_asked.wait, 10)  # the loop goes on: this very line runs on it
        may_answer.set()
        assert await running == 7


@pytest.mark.parametrize(
    "said", [REFUSED, problem(403, "insufficient_scope"), BROKEN, Said(200, b"<html>"), Said(302, b"")]
)
async def test_a_token_is_in_no_error_no_repr_and_no_log(
    said: Said, client: Both, gateway: Scripted, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    gateway.will_say(said)

    with pytest.raises(Exception) as raised:  # noqa: PT011 (whichever it is)
        await client.having(token=TOKEN).run(gateway.url, retry_s=0.1)

    shown = "".join(traceback.format_exception(raised.value)) + repr(raised.value) + caplog.text
    chain: BaseException | None = raised.value
    while chain is not None:
        shown += repr(chain) + repr(vars(chain)) + repr(getattr(chain, "request", None))
        chain = chain.__cause__ or chain.__context__
    assert TOKEN not in shown
    assert sent_to(gateway)[0] == f"Bearer {TOKEN}"


def test_a_client_that_holds_a_token_does_not_show_it() -> None:
    client = Client(token=TOKEN)
    shown = [repr(client), repr(vars(client)), repr(vars(client._asking)), repr(vars(client._asking._credential))]
    shown += [repr(each) + repr(each.headers) for each in client._asking.http]

    assert TOKEN not in "".join(shown)


async def test_nobody_at_the_address_is_told_without_the_token(client: Both) -> None:
    with pytest.raises(GatewayUnreachableError) as raised:
        await client.having(token=TOKEN).run(f"http://127.0.0.1:{free_port()}", retry_s=0.2)

    assert TOKEN not in "".join(traceback.format_exception(raised.value))
