"""One turn's way through a dispatch worker, folder by folder.

    reader (argosy/logs)             a record is polled under a claim
      └▶ accept/intake.py             contiguous records become turns: one accept for the batch, positions with it
           └▶ scheduling/scheduler.py   which session may start its head: tenants in turn, then priority, age; slots
                └▶ execution/executor.py   runs the workflow; journal.py is its hand on the history
                     └▶ flush/flusher.py     what turns want written, in one flush at a time
                          └▶ executor.settled  the end is durable: the slot is free, the session's next turn starts

Beside it: ownership/ (what may I read and write: eligibility → claims, hand-over), scheduling/pager.py (what waits in
Postgres comes into memory), inbox/ (signals, cancels, timers), poke.py (look now), signs_of_life.py (I live, and who
else does). parts.py puts them together; worker.py is the process's life from start to drain. Imports run from inbox
over ownership, accept and execution to scheduling and flush.

Everything in here runs on one event loop; only the log's reader, the signs of life and synchronous steps have threads.
"""
