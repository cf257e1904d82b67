"""A turn's way through a dispatch worker, folder by folder.

    reader (argosy/logs)             polls records under a claim
      └▶ accept/intake.py             makes turns of contiguous records: one accept for the batch, positions with it
           └▶ scheduling/scheduler.py   picks the head that starts next: tenants in turn, then priority, then age
                └▶ execution/executor.py   runs the workflow in a slot; journal.py records its history
                     └▶ flush/flusher.py     writes what the turns want written, one flush at a time
                          └▶ executor.written  frees the slot of a turn whose end is durable; its session goes on

Beside it: ownership/ (which partitions this worker may read and write: eligibility, claims, hand-overs),
scheduling/pager.py (reads turns that wait in Postgres into memory), inbox/ (signals, cancels, timers), builds/ (turns
lent to and borrowed from other workers), stream/ (live events for gateways), poke.py (hints to look at once) and
signs_of_life.py (shows that this worker lives, and sees which others do). parts.py puts them together; worker.py starts
and stops the process. Imports run from inbox over ownership, accept and execution to scheduling and flush.

All of this runs on one event loop. Other threads: the log's reader, the signs of life, the guard of the event loop
(loop_monitor.py), the ops server, the watch on the parent process, and the threads for user code (workflow/threads.py).
"""
