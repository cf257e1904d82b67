"""What a forked child of this very process still has."""

import json
import os
import socket
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from argosy.process import fork


@pytest.fixture(autouse=True)
def own(monkeypatch: pytest.MonkeyPatch) -> None:
    """What these tests call Argosy's is nobody's afterwards."""
    for name in ("peers", "peer_ports", "names", "fds"):
        monkeypatch.setattr(fork._own, name, set())


def in_child(look: Callable[[], Any]) -> Any:
    """What look() answers in a forked child."""
    read_fd, write_fd = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.write(write_fd, json.dumps(look()).encode())
            code = 0
        finally:
            os._exit(code)
    os.close(write_fd)
    with os.fdopen(read_fd, "rb") as answer:
        said = answer.read()
    assert os.waitpid(pid, 0)[1] == 0
    return json.loads(said)


def opened(fd: int) -> str:
    return str(Path(f"/proc/self/fd/{fd}").readlink())


def what_is(*sockets: socket.socket) -> list[str]:
    links = [opened(each.fileno()) for each in sockets]
    return ["socket" if link.startswith("socket:") else link for link in links]


def pair(stack: ExitStack, server: socket.socket) -> tuple[socket.socket, socket.socket]:
    """A connection to the server: the end that called, and the one that was called."""
    family = server.family
    calling = stack.enter_context(closing(socket.socket(family)))
    calling.connect(server.getsockname())
    return calling, stack.enter_context(closing(server.accept()[0]))


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_child_has_neither_end_of_ours_and_all_of_the_users(host: str) -> None:
    with ExitStack() as stack:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        ours, store, users = (stack.enter_context(socket.create_server((host, 0), family=family)) for _ in range(3))
        called, to_store, of_user = pair(stack, ours)[1], pair(stack, store)[0], pair(stack, users)[0]
        left, right = (stack.enter_context(closing(each)) for each in socket.socketpair())
        fork.own_name(ours.getsockname()[1])
        fork.own_peer(to_store.getpeername())

        seen = in_child(lambda: what_is(ours, called, to_store, users, of_user, left, right))

        assert seen == ["/dev/null"] * 3 + ["socket"] * 4
        assert what_is(ours, called, to_store) == ["socket"] * 3


def test_a_connection_lives_on_in_the_parent_when_a_child_that_lost_it_ends() -> None:
    with ExitStack() as stack:
        store = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        to_store, from_us = pair(stack, store)
        fork.own_peer(to_store.getpeername())

        in_child(lambda: to_store.close())
        to_store.sendall(b"still here")

        assert from_us.recv(99) == b"still here"


@pytest.mark.parametrize("address", ["127.0.0.1:{}", "localhost:{}", "[::ffff:127.0.0.1]:{}"])
def test_a_connection_is_known_by_the_address_that_it_was_asked_for(address: str) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        calling, _ = pair(stack, server)
        fork.own_peer_address(address.format(server.getsockname()[1]))

        assert in_child(lambda: what_is(calling)) == ["/dev/null"]


@pytest.mark.parametrize("address", ["", "nonsense", "host:port", ":", "127.0.0.1:0x1"])
def test_an_address_that_is_none_is_nobodys(address: str) -> None:
    fork.own_peer_address(address)

    assert not fork._own.peer_ports - {0}


def test_sockets_in_the_file_system_are_known_by_their_path(tmp_path: Path) -> None:
    with ExitStack() as stack:
        ours, users = (stack.enter_context(closing(socket.socket(socket.AF_UNIX))) for _ in range(2))
        for each, name in ((ours, "ours"), (users, "users")):
            each.bind(str(tmp_path / name))
            each.listen()
        fork.own_name(str(tmp_path / "ours"))
        calling, called = pair(stack, ours)

        assert in_child(lambda: what_is(ours, calling, called, users)) == ["/dev/null"] * 3 + ["socket"]


def test_the_pipe_that_says_that_we_live_says_so_although_a_child_lives_on() -> None:
    read_fd, write_fd = os.pipe()
    fork.own_fd(write_fd)

    assert in_child(lambda: opened(write_fd)) == "/dev/null"

    fork.disown_fd(write_fd)
    assert in_child(lambda: opened(write_fd)).startswith("pipe:")
    os.close(read_fd)
    os.close(write_fd)
