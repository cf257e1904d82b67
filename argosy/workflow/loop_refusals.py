"""What the loop of a turn refuses. A method of asyncio's loops that it lacks raises an error that says where such work
belongs.
"""

from collections.abc import Callable
from typing import Any, Final, NoReturn

from argosy.errors import WorkflowError

_IN_A_STEP: Final = "I/O, processes and threads belong in a step (ctx.run), whose result is recorded"
_OF_THE_TURN: Final = "its loop is run by the worker, from outcome to outcome"

_REFUSED: Final = (
    *(
        (name, _IN_A_STEP)
        for name in (
            *("run_in_executor", "set_default_executor", "shutdown_default_executor", "call_soon_threadsafe"),
            *("getaddrinfo", "getnameinfo", "create_connection", "create_server", "create_unix_connection"),
            *("create_unix_server", "create_datagram_endpoint", "connect_accepted_socket", "start_tls", "sendfile"),
            *("connect_read_pipe", "connect_write_pipe", "subprocess_shell", "subprocess_exec"),
            *("add_reader", "remove_reader", "add_writer", "remove_writer", "add_signal_handler"),
            *("remove_signal_handler", "sock_recv", "sock_recv_into", "sock_recvfrom", "sock_recvfrom_into"),
            *("sock_sendall", "sock_sendto", "sock_connect", "sock_accept", "sock_sendfile"),
        )
    ),
    *(
        (name, _OF_THE_TURN)
        for name in (
            *("run_forever", "run_until_complete", "stop", "close", "shutdown_asyncgens"),
            *("set_task_factory", "set_exception_handler", "set_debug"),
        )
    ),
)


def refuse_closed() -> NoReturn:
    """Raise the error for code that asks for something after its turn was suspended or has ended."""
    raise WorkflowError("the turn rests or has ended: nothing of it begins any more, also not in a `finally`")


def refuse_restless(callbacks_max: int) -> NoReturn:
    """Raise the error for code that runs for ever between two outcomes."""
    raise WorkflowError(
        "the workflow never comes to rest: a loop of it awaits nothing that is durable "
        f"(WORKFLOW_CALLBACKS_MAX={callbacks_max})"
    )


def refuse_hopeless() -> NoReturn:
    """Raise the error for code that waits although no outcome can come."""
    raise WorkflowError(
        "the workflow waits for what nothing can bring: no step, wait or timer of it is under way "
        "(I/O, threads and other loops belong in a step)"
    )


def refuse_all(loop_class: type) -> None:
    """Give the class a method for each refused name, which raises WorkflowError."""
    for name, why in _REFUSED:
        setattr(loop_class, name, _refusal(name, why))


def _refusal(name: str, why: str) -> Callable[..., NoReturn]:
    def refuse(self: Any, *args: Any, **kwargs: Any) -> NoReturn:
        raise WorkflowError(f"{name} cannot be used in a workflow: {why}")

    refuse.__name__ = name
    return refuse
