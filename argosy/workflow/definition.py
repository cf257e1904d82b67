"""`@step` and `@workflow`, with which users declare steps and workflows.

A function is inspected here once, never at each call.

Promise: a decorated function stays the function it was; called outside a workflow it simply runs. A bad declaration
raises WorkflowError with one line that names the function and the rule.
"""

import inspect
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, Literal, NamedTuple, NoReturn, TypeVar, cast, get_args, overload

import msgspec

from argosy.errors import WorkflowError
from argosy.workflow.declared_name import check_name
from argosy.workflow.retry import ExceptionTypes, RetryPolicy

Effect = Literal["pure", "idempotent", "at_most_once"]
Function = TypeVar("Function", bound=Callable[..., Any])

RETRIES_MAX: Final = 1_000  # each failed try is an event of the turn's history
TIMEOUT_S_MAX: Final = 604_800.0  # a week: a try that runs holds a slot
BACKOFF_S_MAX: Final = 86_400.0  # a day, as RETRY_AFTER_S_MAX

STEP: Final = "__argosy_step__"  # the attribute in which a function has its Step
_WORKFLOW: Final = "__argosy_workflow__"


class Step(NamedTuple):
    """A declared step.

    timeout_s: of one try; None for none. is_plain: async, without a timeout and not at_most_once, so that a try awaits
    the function directly. is_private: nothing of the step is shown. mark: the JSON member in the data of its events
    that says what is private; empty for nothing.
    """

    name: str
    is_async: bool
    is_plain: bool
    timeout_s: float | None
    effect: Effect
    policy: RetryPolicy
    is_private: bool
    mark: bytes


class Workflow(NamedTuple):
    """A declared workflow.

    description: the first line of its docstring. takes_input: it has a parameter beside ctx; has_default: that
    parameter has a default, which stands in for an input that is missing or null.
    """

    name: str
    version: str
    description: str
    function: Callable[..., Any]
    is_async: bool
    takes_input: bool
    has_default: bool


@overload
def step(function: Function, /) -> Function: ...
@overload
def step(
    *,
    name: str | None = None,
    retries: int = 0,
    timeout_s: float | None = None,
    effect: Effect = "idempotent",
    backoff_s: float = 0.2,
    backoff_s_max: float = 60.0,
    retry_on: type[BaseException] | ExceptionTypes = (Exception,),
    no_retry_on: type[BaseException] | ExceptionTypes = (),
    private: bool | tuple[str, ...] = False,
) -> Callable[[Function], Function]: ...
def step(function: Any = None, /, *, name: str | None = None, **options: Any) -> Any:
    """Declare a step: a function whose result is recorded once it has returned, and which then never runs again.

    name: by default the function's own. It is the step's key in history, so it must stay when code changes.

    retries: tries after the first one that failed. timeout_s: the bound of one try. A synchronous step's thread cannot
    be stopped: it goes on in the background, and what it returns later is ignored.

    effect: "idempotent" (after a crash it may run again, under the same step_info().idempotency_key), "pure" (the same,
    and it changes nothing outside), "at_most_once" (never runs twice: when a crash leaves its outcome unknown, the turn
    is parked; it is retried only after EffectNotStartedError).

    backoff_s, backoff_s_max: the n-th retry waits between 0 and min(backoff_s_max, backoff_s * 2**(n-1)) seconds, after
    the error's retry_after_s or Retry-After. retry_on, no_retry_on: exception types; when an error is in both,
    no_retry_on wins.

    private: True: clients see that there was an event, and nothing of the step: neither its name, result, error nor
    what it emits. What the workflow makes of them is its own affair. A tuple of names: clients do not see these
    top-level fields of a result that is a dict. History has all of it.

    Results are JSON: None, bool, int, finite float, str, list, tuple (becomes a list), dict with string keys. Raises
    WorkflowError when the declaration is not valid.
    """

    def declare(function: Function) -> Function:
        if isinstance(getattr(function, _WORKFLOW, None), Workflow):
            _refuse("step", function, "it is a workflow already")
        if unknown := options.keys() - inspect.signature(_step_of).parameters.keys():
            _refuse("step", function, f"there is no option {', '.join(sorted(unknown))}")
        setattr(function, STEP, _step_of(function, name, **options))
        return function

    return declare if function is None else declare(function)


@overload
def workflow(function: Function, /) -> Function: ...
@overload
def workflow(*, name: str | None = None, version: str = "1") -> Callable[[Function], Function]: ...
def workflow(function: Any = None, /, *, name: str | None = None, version: str = "1") -> Any:
    """Declare a workflow: `async def f(ctx, input)`, or `def f(ctx, input)`.

    A `def` workflow runs in a thread of its own, and its ctx has the same operations, blocking. The input parameter may
    be left out. Run again with the same history, the workflow must do the same: what is random, timed or comes from
    outside goes through ctx.

    name: by default the function's own. version: a string; a turn keeps the version it began with. Raises WorkflowError
    when the declaration is not valid.
    """

    def declare(function: Function) -> Function:
        if isinstance(getattr(function, STEP, None), Step):
            _refuse("workflow", function, "it is a step already")
        setattr(function, _WORKFLOW, _workflow_of(function, name, version))
        return function

    return declare if function is None else declare(function)


def workflow_of(value: object) -> Workflow | None:
    """Return the workflow that a function was declared as, or None."""
    found = getattr(value, _WORKFLOW, None) if inspect.isfunction(value) else None
    if not isinstance(found, Workflow):
        return None
    # A decorator around the declared function copied the declaration; the workflow is then the decorated function.
    return found if found.function is value else found._replace(function=cast(Callable[..., Any], value))


def step_of(function: Callable[..., Any]) -> Step:
    """Return the step that a function is declared as, or a step with every default when it is undecorated.

    Raises WorkflowError.
    """
    found = getattr(function, STEP, None)
    if found.__class__ is Step:
        return found
    if workflow_of(function) is not None:
        _refuse("step", function, "it is a workflow; ctx.run takes steps")
    declared = _step_of(function, None)
    with suppress(AttributeError, TypeError):  # a bound method or a builtin: inspected at each call
        setattr(function, STEP, declared)
    return declared


def _step_of(
    function: Callable[..., Any],
    name: str | None,
    *,
    retries: int = 0,
    timeout_s: float | None = None,
    effect: Effect = "idempotent",
    backoff_s: float = 0.2,
    backoff_s_max: float = 60.0,
    retry_on: type[BaseException] | ExceptionTypes = (Exception,),
    no_retry_on: type[BaseException] | ExceptionTypes = (),
    private: bool | tuple[str, ...] = False,
) -> Step:
    def refuse(why: str) -> NoReturn:
        _refuse("step", function, why)

    _check_function("step", function)
    if isinstance(retries, bool) or not isinstance(retries, int) or not 0 <= retries <= RETRIES_MAX:
        refuse(f"retries must be a whole number from 0 to {RETRIES_MAX}, not {retries!r}")
    if timeout_s is not None and not (_is_seconds(timeout_s, TIMEOUT_S_MAX) and timeout_s):
        refuse(f"timeout_s must be above 0 and at most {TIMEOUT_S_MAX:.0f}, or None, not {timeout_s!r}")
    if effect not in get_args(Effect):
        refuse(f"effect must be one of {', '.join(get_args(Effect))}, not {effect!r}")
    if not _is_seconds(backoff_s_max, BACKOFF_S_MAX) or not _is_seconds(backoff_s, backoff_s_max):
        refuse(
            f"0 <= backoff_s <= backoff_s_max <= {BACKOFF_S_MAX:.0f} must hold, got {backoff_s!r} and {backoff_s_max!r}"
        )
    types = [_exception_types(given) for given in (retry_on, no_retry_on)]
    if types[0] is None or types[1] is None:
        refuse("retry_on and no_retry_on must be exception classes or tuples of them")
    if not isinstance(private, bool) and not _is_names(private):
        refuse(f"private must be True, False or a tuple of names of the result's fields, not {private!r:.80}")
    is_async = _is_async(function)
    policy = RetryPolicy(retries, backoff_s, backoff_s_max, types[0], types[1], effect == "at_most_once")
    return Step(
        check_name("step", function, name),
        is_async,
        is_async and timeout_s is None and effect != "at_most_once",
        timeout_s,
        effect,
        policy,
        private is True,
        b'"private":' + msgspec.json.encode(private) if private else b"",
    )


def _workflow_of(function: Callable[..., Any], name: str | None, version: str) -> Workflow:
    _check_function("workflow", function)
    if not inspect.isfunction(function):
        _refuse("workflow", function, "only functions can be declared")
    if not isinstance(version, str) or not 1 <= len(version) <= 64 or not version.isprintable():
        _refuse("workflow", function, f'version must be a string such as "1" of 1 to 64 characters, not {version!r}')
    parameters = list(inspect.signature(function).parameters.values())
    positional = [each for each in parameters if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
    if not positional:
        _refuse("workflow", function, "its first parameter must be ctx")
    optional = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    further = [each for each in parameters if each not in positional[:2] and each.kind not in optional]
    if any(each.default is each.empty for each in further):
        _refuse("workflow", function, "it is called with ctx and its input; further parameters need defaults")
    lines = (inspect.getdoc(function) or "").splitlines()
    return Workflow(
        name=check_name("workflow", function, name),
        version=version,
        description=lines[0].strip() if lines else "",
        function=function,
        is_async=_is_async(function),
        takes_input=len(positional) > 1,
        has_default=len(positional) > 1 and positional[1].default is not inspect.Parameter.empty,
    )


def _check_function(kind: str, function: Any) -> None:
    if inspect.isclass(function) or not callable(function):
        _refuse(kind, function, "only functions can be declared")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        _refuse(kind, function, "it is a generator (it has a yield); return a value instead")


def _is_async(function: Any) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)


def _is_names(value: Any) -> bool:
    return isinstance(value, tuple) and all(isinstance(each, str) and each.isprintable() for each in value)


def _is_seconds(value: Any, at_most: float) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= at_most


def _exception_types(given: Any) -> ExceptionTypes | None:
    types = given if isinstance(given, tuple) else (given,)
    return types if all(isinstance(each, type) and issubclass(each, BaseException) for each in types) else None


def _refuse(kind: str, function: Any, why: str) -> NoReturn:
    raise WorkflowError(f"{kind} {getattr(function, '__qualname__', function)!r}: {why}")
