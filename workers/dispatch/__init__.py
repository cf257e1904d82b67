"""One turn's way through a dispatch worker, file by file.

    reader (argosy/logs)   a record is polled under a claim
      └▶ intake.py         contiguous records become turns: one accept for the batch, positions in the same transaction
           └▶ scheduler.py   which session may start its head: tenants in turn, then priority, then age; slots
                └▶ executor.py   runs the workflow; journal.py is its hand on the history
                     └▶ flusher.py   what turns want written, in one flush at a time
                          └▶ executor.settled   the end is durable: the slot is free, the session's next turn starts

Beside it: ownership.py (what may I read and write: eligibility → claims), pager.py (what waits in Postgres comes into
memory), inbox.py (signals, cancels, timers), poke.py (look now), signs_of_life.py (I live, and who else does).
main.py puts them together.

Everything in here runs on one event loop; only the log's reader, the signs of life and synchronous steps have threads.
"""
