"""Which records come too late to be new turns. Pure.

A record has its MAC for ever, and whoever may append to the log may append a copy of an old one. While its turn's row
is there the copy is that turn, and nothing happens. Role retention deletes that row: from then on the copy would be a
new turn, and run again. So:

    A record of a turn that is not in Postgres is kept aside (`expired_record`) when its id is more than LATE_S older
    than the time through which its partition had been accepted before.

This refuses no record that only waited, however long:
- Of a partition that is accepted through a time, everything is accepted that was appended before it
  (ownership/reading.py). So what comes now was appended later. That time moves with the position: where no worker
  reads, it stands still.
- A gateway appends a record within LOG_APPEND_TIMEOUT_S after it minted the id. Only a gateway whose clock is slow by a
  day mints one that is late at once; its records are kept, with that reason, and run nowhere.
- The time belongs to the position in one log, as Postgres has it, and goes back with it when a backup is restored. In
  another log (a topic that was made again) it begins anew. A log that is read again from its first record brings late
  ones: their turns are there, and they are passed.
- It is the database's time, and counts only as far as this machine's clock is: one of the two that is fast refuses
  nobody.

And no copy runs: role retention deletes a row only when it was accepted a day and an hour before the time through which
its partition is accepted (functions/trim.sql, forgotten_before); by then the id is late. By the hour a gateway's clock
may be fast. What is left: in a log that was made anew, until a worker has noted for the first time how far it is.

A turn that another turn starts does not come through the log, and is never late.
"""

from typing import Final

from argosy.errors import RecordError

LATE_S: Final = 86_400.0  # as in functions/trim.sql, forgotten_before


class ExpiredRecordError(RecordError):
    """The record is too old to be of a new turn. It is kept aside, unless its turn is there."""

    code = "expired_record"


def new_since_ms(through_s: float, now_s: float) -> int:
    """Return the Unix time before which ids of new turns are late. through_s: through which everything is accepted,
    database time; -inf: nothing is known. now_s: by this machine's clock.
    """
    return max(0, int((min(through_s, now_s) - LATE_S) * 1_000)) if through_s != float("-inf") else 0
