"""MACs of records in the log: only who knows the fleet's secret writes a record that is taken.

Whoever may append to a topic could be any tenant otherwise: a record says itself whose turn it is. So the gateway puts
a MAC into a header of each record, over the topic, the record's key, its trace context and its value as it stands in
the log. A copy of a record is the same turn, and so a duplicate; a record that is brought to another topic, or to
another session, has no right MAC there.

LOG_RECORDS:
- unsigned: no record gets a MAC, and none is looked at.
- signing: records get one. One with a wrong MAC is kept aside; one without is taken, and counted.
- signed: one without is kept aside, too.

A fleet goes one step at a time. The step to signed begins when all gateways sign and everything from before that has
been read (the lag was 0 once): workers keep aside what they find without a MAC then, and nobody runs it.

A header in place of a member of the value: it covers the very bytes that the log has, in both logs and for all kinds of
records alike, and workers of older versions read such records as before.
"""

import hashlib
import hmac
import struct
from collections.abc import Callable
from enum import StrEnum
from typing import Final, Literal

from argosy import telemetry
from argosy.errors import RecordError
from argosy.log import Batch, Entry, Record

HEADER: Final = "argosy-mac"
_TRACE: Final = "traceparent"
_KEY_ID_BYTES: Final = 4
_MAC_BYTES: Final = 16  # 128 bits: nobody can try MACs but by appending records
_LENGTHS: Final = struct.Struct(">HHI")

Headers = tuple[tuple[str, bytes], ...]


class LogRecords(StrEnum):
    """What a fleet does about MACs; see above."""

    UNSIGNED = "unsigned"
    SIGNING = "signing"
    SIGNED = "signed"


class UnsignedRecordError(RecordError):
    """The record has no MAC, and needs one."""

    code = "unsigned_record"


class ForgedRecordError(RecordError):
    """The record's MAC is not one that this fleet made for it."""

    code = "forged_record"


class RecordMacs:
    """Signs the records of one topic, and checks them. previous: a key that signs no more, and still proves."""

    def __init__(
        self, topic: str, key: bytes, previous: bytes | None, mode: Literal[LogRecords.SIGNING, LogRecords.SIGNED]
    ) -> None:
        self._topic = topic.encode()
        self._key = key
        self._key_id = _id_of(key)
        self._keys = {_id_of(each): each for each in (previous, key) if each is not None}
        self._is_needed = mode is LogRecords.SIGNED

    def signed(self, entry: Entry) -> Entry:
        """Return an entry with its MAC."""
        mac = self._key_id + self._mac(self._key, entry.key, entry.value, entry.headers)
        return entry._replace(headers=(*entry.headers, (HEADER, mac)))

    def checked(self, record: Record) -> Record:
        """Return a record with why it must not be taken, or with the word that it is proved. One that has no MAC, and
        needs none, has neither. Where none is needed, a MAC of a key that is not here is like none: whoever forges one
        could as well leave it out, and a gateway that has another secret has said 202.
        """
        given = [value for name, value in record.headers if name == HEADER]
        if given and (self._is_needed or len(given) > 1 or given[0][:_KEY_ID_BYTES] in self._keys):
            fault = self._fault(record, given)
            return record._replace(fault=fault, is_proved=fault is None)
        if not record.value:
            return record  # an erasure empties records, MAC and all; and nothing can be made of one, whoever wrote it
        if self._is_needed:
            return record._replace(
                fault=UnsignedRecordError("the record has no MAC, which LOG_RECORDS=signed asks for")
            )
        telemetry.RECORDS_UNSIGNED.inc()
        return record

    def _fault(self, record: Record, given: list[bytes]) -> ForgedRecordError | None:
        """Return what is wrong with the MACs of a record, or None."""
        key = self._keys.get(given[0][:_KEY_ID_BYTES]) if len(given) == 1 else None
        if key is None:
            return ForgedRecordError("the record's MAC is of no key that this worker has")
        expected = self._mac(key, record.key or b"", record.value or b"", record.headers)
        if not hmac.compare_digest(expected, given[0][_KEY_ID_BYTES:]):
            return ForgedRecordError("the record's MAC is not the one of its content")
        return None

    def _mac(self, key: bytes, record_key: bytes, value: bytes, headers: Headers) -> bytes:
        trace = next((content for name, content in headers if name == _TRACE), b"")
        # Each length stands before its part, so that no part can be cut at another place.
        begin = _LENGTHS.pack(len(self._topic), len(record_key), len(trace)) + self._topic + record_key + trace
        return hmac.digest(key, begin + value, hashlib.sha256)[:_MAC_BYTES]


def checked(take: Callable[[Batch], None], macs: RecordMacs | None) -> Callable[[Batch], None]:
    """Return a function that hands a reader's batches on to `take`, each record with what its MAC says of it; `take`
    itself when nothing is checked (macs: None).
    """
    if macs is None:
        return take

    def take_checked(batch: Batch) -> None:
        take(batch._replace(records=[macs.checked(each) for each in batch.records]))

    return take_checked


def _id_of(key: bytes) -> bytes:
    return hmac.digest(key, b"key id", hashlib.sha256)[:_KEY_ID_BYTES]
