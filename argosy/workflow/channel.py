"""What `argosy.emit` fills: one named channel of one try of a step, or of the workflow. Pure, but for the lock that it
shares with its neighbours: the code that fills it may run in a thread.

Promise: the value is whole at any moment. Text goes on at its end, and any part of it can be had, by characters; a JSON
value is replaced, or changed by patches (RFC 6902), and a patch that does not apply changes nothing.
"""

import sys
from bisect import bisect_right
from collections.abc import Callable
from typing import Any, Final

import jsonpatch
import msgspec

from argosy.errors import WorkflowError
from argosy.workflow import payload

# A token of its own costs some 60 bytes more than its characters: many are made one piece, up to about this length.
_LOOSE_MAX: Final = 64
_PIECE_CHARACTERS: Final = 4_096
_MARKS_MAX: Final = 16
_PATCHES_MAX: Final = 256
# Patches are kept while they weigh less than the whole value, which is what who lacks them is sent; or less than this.
_PATCHES_SIZE_BYTES_MIN: Final = 4_096

_encode = msgspec.json.Encoder().encode


class Channel:
    """Changed by `Channels` alone, under its lock, which `text`, `json`, `patches` and `shown` take.

    step, tries: whose it is; "" and 0: the workflow's. generation: of this channel among all of the attempt; a step
    that is tried again has others. length: characters, or changes so far of a JSON value; replaced: the length right
    after its newest replacement, 0 before the first. seq: the turn's newest event when it was last filled.
    size_bytes: of the value. is_refilled: another process has filled it before, in this same attempt, and this one
    fills it again.
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
        # (seq, the length that it had when its first emit after that event came), oldest first.
        self._marks: list[tuple[int, int]] = []
        self._texts: list[str] = []
        self._starts: list[int] = []
        # The newest tokens, in none of `_texts` yet; so many of them are counted in length and size_bytes.
        self._loose: list[str] = []
        self._counted = 0
        self._whole = b"null"
        self._document: Any = None
        self._is_decoded = False
        # The newest changes, if they were patches.
        self._patches: list[bytes] = []
        self._patches_size_bytes = 0

    # For watchers

    def text(self, begin: int = 0, end: int | None = None) -> str:
        """The characters from begin to end (None: all there are)."""
        with self._lock:
            return self._text(begin, self.length if end is None else end)

    def json(self) -> bytes:
        """The whole JSON value."""
        with self._lock:
            return self._whole

    def patches(self, since_length: int) -> list[bytes] | None:
        """What has changed a JSON value since it had a length: JSON lists of operations, in order. None: it was
        replaced meanwhile, or the patches are not all kept; `json` has the whole.
        """
        with self._lock:
            count = self.length - since_length
            if not 0 <= count <= len(self._patches):
                return None
            return self._patches[len(self._patches) - count :]

    def shown(self, durable_seq: int) -> int:
        """How much of `length` may be told once the events up to durable_seq are durable: nothing may be told before
        the event that it follows.
        """
        with self._lock:
            for seq, length in self._marks:
                if seq > durable_seq:
                    return length
            return self.length

    # For Channels, which holds the lock

    @property
    def tokens(self) -> list[str]:
        """Whoever adds ASCII at its end adds to the text, without the lock: it belongs to it once it is counted. Only
        until the turn has another event.
        """
        return self._loose

    def begin(self, tokens: list[str], seq: int) -> None:
        """With these, of ASCII, which somebody may go on adding to; none is counted."""
        self._mark(seq)
        self._loose = tokens

    def count(self) -> int:
        """What was added is part of the text; how many bytes that were."""
        count = len(self._loose)  # a thread may add more meanwhile
        if count == self._counted:
            return 0
        size_bytes = sum(map(len, self._loose[self._counted : count]))
        self._counted = count
        self.length += size_bytes
        self.size_bytes += size_bytes
        return size_bytes

    def append(self, text: str, size_bytes: int, seq: int) -> None:
        """After `count`."""
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
        """check: raises when the value must not become that many bytes, nor that many be copied in it. Raises
        WorkflowError, and what check raises; the value is as it was then.
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
        """As an event's data holds it: `"NAME":{"text":…}` or `"NAME":{"json":…}`. What was added counts, too."""
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
        """What is loose and counted becomes a piece, or the end of the last one."""
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
        self._is_decoded = False  # until the whole patch has applied: it changes the document as it goes
        document, copied_bytes = self._document, 0
        try:
            for operation in operations:
                if operation["op"] == "copy":  # a few of the value into itself would be more than there is memory for
                    copied_bytes += len(_encode(jsonpatch.JsonPointer(operation["from"]).resolve(document)))
                    check(copied_bytes)
                document = jsonpatch.apply_patch(document, [operation], in_place=True)
            return payload.encode(document, sys.maxsize, "the value")[0], document
        except WorkflowError:
            raise
        except Exception as error:  # whatever the library makes of a patch that does not fit
            why = f"{type(error).__name__}: {error}"
            raise WorkflowError(f"the patch of channel {self.name!r} does not apply: {why:.300}") from error

    def _mark(self, seq: int) -> None:
        self.seq = seq
        self._marks.append((seq, self.length))
        if len(self._marks) > _MARKS_MAX:  # the oldest two become one: what is between them may be told a bit later
            self._marks[:2] = [(self._marks[1][0], self._marks[0][1])]


def text_member(name: str, pieces: list[str]) -> bytes:
    """A channel of text, as an event's data holds it."""
    return b'%b:{"text":%b}' % (_encode(name), _encode("".join(pieces)))
