"""A channel: what one try of a step, or the workflow, has emitted under one name.

The module is pure but for the lock: the code that emits may run in a thread, so all channels of an attempt share one
lock.

Promise: the channel's value is whole at any moment. Text grows at its end, and any range of its characters can be read.
A JSON value is replaced, or changed by patches (RFC 6902); a patch that does not apply changes nothing.
"""

import sys
from bisect import bisect_right
from collections.abc import Callable
from typing import Any, Final

import jsonpatch
import msgspec

from argosy.errors import WorkflowError
from argosy.workflow import payload

# A string of its own costs some 60 bytes beyond its characters, so this many tokens are joined to a piece at once.
# A piece grows to about so many characters.
_LOOSE_MAX: Final = 64
_PIECE_CHARACTERS: Final = 4_096
_MARKS_MAX: Final = 16
_PATCHES_MAX: Final = 256
# Patches are kept while all of them are no larger than the whole value, or than this: a follower that lacks patches is
# sent the whole value.
_PATCHES_SIZE_BYTES_MIN: Final = 4_096

_encode = msgspec.json.Encoder().encode


class Channel:
    """One channel. Only `Channels` changes it, under its lock; `text`, `json`, `patches` and `shown` take that lock.

    step, tries: the step's key and the number of its try; "" and 0 for the workflow. generation: the number of this
    channel among all that the process made; a step that is tried again has new ones. length: characters of a text, or
    changes so far of a JSON value; replaced: the length right after the newest replacement, or after a patch that was
    too large to keep; 0 before the first; restored: the length of the value that a suspend had written, from which a
    workflow's channel goes on. seq: the turn's newest event when the channel was last filled. size_bytes: of the value.
    is_refilled: another process filled the channel before, in this same attempt, and this process fills it again.
    """

    __slots__ = (
        "_counted",
        "_document",
        "_is_decoded",
        "_lock",
        "_loose",
        "_marks",
        "_patches",
        "_patches_size_bytes",
        "_starts",
        "_texts",
        "_whole",
        "generation",
        "is_refilled",
        "is_text",
        "length",
        "name",
        "replaced",
        "restored",
        "seq",
        "size_bytes",
        "step",
        "tries",
    )

    def __init__(
        self,
        lock: Any,
        step: str,
        name: str,
        tries: int,
        is_text: bool,
        generation: int,
        is_refilled: bool,
    ) -> None:
        self._lock = lock
        self.step = step
        self.name = name
        self.tries = tries
        self.is_text = is_text
        self.generation = generation
        self.is_refilled = is_refilled
        self.length = 0
        self.replaced = 0
        self.restored = 0
        self.seq = 0
        self.size_bytes = 0
        # (seq of an event, the channel's length before the first emit after that event), oldest first.
        self._marks: list[tuple[int, int]] = []
        self._texts: list[str] = []
        self._starts: list[int] = []
        # The newest tokens, in no piece of `_texts` yet. The first `_counted` are part of length and size_bytes.
        self._loose: list[str] = []
        self._counted = 0
        self._whole = b"null"
        self._document: Any = None
        self._is_decoded = False
        # The newest changes, as far as they are patches that are kept.
        self._patches: list[bytes] = []
        self._patches_size_bytes = 0

    # For followers

    def text(self, begin: int = 0, end: int | None = None) -> str:
        """Return the characters from begin to end (None: to the end of the text)."""
        with self._lock:
            return self._text(begin, self.length if end is None else end)

    def json(self) -> bytes:
        """Return the whole JSON value."""
        with self._lock:
            return self._whole

    def patches(self, since_length: int) -> list[bytes] | None:
        """Return the patches since the JSON value had this length: JSON lists of operations, in order.

        None when the value was replaced meanwhile or not all of the patches are kept; then use `json`.
        """
        with self._lock:
            count = self.length - since_length
            if not 0 <= count <= len(self._patches):
                return None
            return self._patches[len(self._patches) - count :]

    def shown(self, durable_seq: int) -> int:
        """Return how much of `length` followers may be shown once the events up to durable_seq are durable.

        What was emitted is never shown before the event that it follows.
        """
        with self._lock:
            for seq, length in self._marks:
                if seq > durable_seq:
                    return length
            return self.length

    # For Channels, which holds the lock

    @property
    def tokens(self) -> list[str]:
        """The newest tokens.

        The try that fills the text appends ASCII here without the lock, until the turn has another event. `count` makes
        what was appended part of the text.
        """
        return self._loose

    def begin(self, tokens: list[str], seq: int) -> None:
        """Begin the text with these tokens of ASCII, none of them counted yet. The try may go on appending to them."""
        self._mark(seq)
        self._loose = tokens

    def count(self) -> int:
        """Make the appended tokens part of the text, and return how many bytes they have."""
        count = len(self._loose)  # read once: a thread may append more meanwhile
        if count == self._counted:
            return 0
        size_bytes = sum(map(len, self._loose[self._counted : count]))
        self._counted = count
        self.length += size_bytes
        self.size_bytes += size_bytes
        return size_bytes

    def append(self, text: str, size_bytes: int, seq: int) -> None:
        """Add to the text. The caller has called `count` before."""
        if seq != self.seq or not self._marks:
            self._mark(seq)
        self.length += len(text)
        self.size_bytes += size_bytes
        self._loose.insert(self._counted, text)
        self._counted += 1
        if self._counted >= _LOOSE_MAX:
            self._join()

    def replace(self, whole: bytes, seq: int) -> None:
        if seq != self.seq or not self._marks:
            self._mark(seq)
        self._whole = whole
        self._is_decoded = False
        self._patches, self._patches_size_bytes = [], 0
        self.length += 1
        self.replaced = self.length
        self.size_bytes = len(whole)

    def patch(self, operations: Any, encoded: bytes, seq: int, check: Callable[[int], None]) -> None:
        """Apply a patch.

        check(size_bytes) raises when the value must not become so large, or when the patch must not copy so much.
        Raises WorkflowError, and what check raises; the value is unchanged then.
        """
        whole, document = self._patched(operations, check)
        check(len(whole))
        if seq != self.seq or not self._marks:
            self._mark(seq)
        self._whole, self._document, self._is_decoded = whole, document, True
        self.length += 1
        self.size_bytes = len(whole)
        self._patches.append(encoded)
        self._patches_size_bytes += len(encoded)
        size_bytes_max = max(len(whole), _PATCHES_SIZE_BYTES_MIN)
        while len(self._patches) > _PATCHES_MAX or self._patches_size_bytes > size_bytes_max:
            self._patches_size_bytes -= len(self._patches.pop(0))
        if not self._patches:
            self.replaced = self.length

    def member(self) -> bytes:
        """Return the channel as a member of an event's data: `"NAME":{"text":…}` or `"NAME":{"json":…}`.

        Tokens that are not counted yet are in it.
        """
        if self.is_text:
            return text_member(self.name, self._texts + self._loose)
        return b'%b:{"json":%b}' % (_encode(self.name), self._whole)

    def _text(self, begin: int, end: int) -> str:
        if begin >= end:
            return ""
        if self._counted:
            self._join()
        first = max(bisect_right(self._starts, begin) - 1, 0)
        last = bisect_right(self._starts, end - 1)
        offset = self._starts[first]
        return "".join(self._texts[first:last])[begin - offset : end - offset]

    def _join(self) -> None:
        """Make the counted loose tokens a piece, or add them to the last piece."""
        joined = "".join(self._loose[: self._counted])
        del self._loose[: self._counted]
        self._counted = 0
        if self._texts and len(self._texts[-1]) < _PIECE_CHARACTERS:
            self._texts[-1] += joined
        else:
            self._starts.append(self.length - len(joined))
            self._texts.append(joined)

    def _patched(self, operations: Any, check: Callable[[int], None]) -> tuple[bytes, Any]:
        if not self._is_decoded:
            self._document = payload.decode(self._whole)
        self._is_decoded = False  # until all of the patch has applied: each operation changes the document in place
        document, copied_bytes = self._document, 0
        try:
            for operation in operations:
                if operation["op"] == "copy":  # a few copies of the value into itself would fill the memory
                    copied_bytes += len(_encode(jsonpatch.JsonPointer(operation["from"]).resolve(document)))
                    check(copied_bytes)
                document = jsonpatch.apply_patch(document, [operation], in_place=True)
            return payload.encode(document, sys.maxsize, "the value")[0], document
        except WorkflowError:
            raise
        except Exception as error:  # jsonpatch raises errors of many classes for a patch that does not fit
            why = f"{type(error).__name__}: {error}"
            raise WorkflowError(f"the patch of channel {self.name!r} does not apply: {why:.300}") from error

    def _mark(self, seq: int) -> None:
        self.seq = seq
        self._marks.append((seq, self.length))
        if len(self._marks) > _MARKS_MAX:  # merge the oldest two: text between them may be shown a bit later
            self._marks[:2] = [(self._marks[1][0], self._marks[0][1])]


def text_member(name: str, pieces: list[str]) -> bytes:
    """Return a channel of text as a member of an event's data."""
    return b'%b:{"text":%b}' % (_encode(name), _encode("".join(pieces)))
