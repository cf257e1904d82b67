"""`argosy.emit`, with which a step or a workflow shows part of a channel while it runs."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from argosy.errors import WorkflowError
from argosy.workflow.channel_bounds import TOKEN_CHARACTERS_MAX
from argosy.workflow.channels import WORKFLOW, Channels
from argosy.workflow.current import Try, current_attempt, current_try
from argosy.workflow.emit_checks import check_name, json_of, patch_of, size_bytes_of

_NOTHING: Final[Any] = object()
_this_try: Final = current_try.get  # bound once: binding the method at each call would cost a tenth of an emit


def emit(
    channel: str,
    *,
    text: str | None = None,
    patch: Sequence[Mapping[str, Any]] | None = None,
    json: Any = _NOTHING,
) -> None:
    """Show clients that follow the turn part of what this step, or the workflow itself, is making.

    channel: a name of 1 to 64 characters; each step has channels of its own. Exactly one of: text, which is added to
    the channel's end; json, which replaces its value; patch (operations of RFC 6902), which changes its value. A
    channel holds text or JSON, never both. What is emitted is not lost: the event that ends the step holds the whole
    value. A step that is tried again begins with empty channels; a workflow that runs again does not show again what it
    has shown. Returns at once.

    Raises WorkflowError outside a step and a workflow, in a thread that Argosy did not start (asyncio.to_thread is
    fine), after the try has ended, and over a bound: EMIT_SIZE_BYTES_MAX, PAYLOAD_SIZE_BYTES_MAX for one channel and
    for what a patch copies, CHANNELS_SIZE_BYTES_MAX, CHANNELS_PER_TURN_MAX. For a private step no bound is checked.
    Raises EncodingError when json or patch cannot be JSON.
    """
    this = _this_try()
    if (
        this is not None
        and text.__class__ is str
        and patch is None
        and json is _NOTHING
        and text.isascii()
        and len(text) <= TOKEN_CHARACTERS_MAX
    ):
        tail = this.tail
        if tail is None:
            if this.attempt.begin(this, channel, text):
                return
        elif tail.name == channel and tail.left > 0:
            tail.left -= 1
            tail.tokens.append(text)
            # Channels.adopt sets tail.channels before anything counts: this token is counted, or announced here.
            if (followed := tail.channels) is not None and (listener := followed.listener) is not None:
                listener()
            return
    channels = _channels(this)
    step, tries = (WORKFLOW, 0) if this is None else (this.step_key, this.number)
    if channels is None:
        check_name(channel)  # a private step: nobody sees its emits, but their errors are raised all the same
    if text is not None and patch is None and json is _NOTHING:
        if not isinstance(text, str):
            raise WorkflowError(f"the text of emit is a string, not {type(text).__name__}")
        if channels is None:
            size_bytes_of(text)
            return
        channels.append(step, tries, channel, text, this)
    elif text is not None or (patch is None) is (json is _NOTHING):
        raise WorkflowError("emit takes exactly one of text, patch and json")
    elif patch is not None:
        patch_of(patch) if channels is None else channels.patch(step, tries, channel, patch, this)
    else:
        json_of(json) if channels is None else channels.replace(step, tries, channel, json, this)


def _channels(this: Try | None) -> Channels | None:
    """Return the channels that this code emits to; None: nobody may see what it emits (a private step)."""
    attempt = current_attempt.get() if this is None else this.attempt
    if attempt is None:
        raise WorkflowError(
            "emit() works inside a step or a workflow, and in threads that carry its context (asyncio.to_thread)"
        )
    return attempt.channels(this)
