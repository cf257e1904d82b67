"""Payloads at rest: sealed before they reach a log or Postgres, opened when they come back. Optional (PAYLOAD_KEYS).

Which ones: a turn's input, result and error; the data of its events (so what its steps returned, how they failed, what
they emitted and what its signals said); signals until they are taken; outcomes of steps on their way between workers;
the input in a record of the log, and in the record of a turn that another turn starts; the lines in a record of ingest.

What stays in the clear: tenants, who posted a turn, sessions, workflows, versions, tags, statuses and reasons, times,
keys of steps and names of signals, idempotency keys, what a turn waits for, and the size of every payload. Graphs are
searched and queried, so they are not sealed, unless who makes one says so (argosy/graph/sealing.py). Neither are the
beginnings of lines that a graph refused, digests of the lines of a job, and what topics of others have.

How: a data key of a tenant (256 bits) seals its values with AES-256-GCM. Data keys stand in `tenant_keys`, wrapped by a
master key, which never is in the database: of PAYLOAD_KEYS, or of a KMS by PAYLOAD_KEYS_HOOK. Each value is bound to
its place (places.py), so one that is moved to another row, column or tenant does not open.

Where: `codec.py` is what the store sees. Postgres's pool has one (`Pool.seals`), and it is asked in few places: where a
record is made (gateway/turn_request.py; uploads of gateways and of turns), where a record of lines is taken
(workers/ingest), where an accept and a flush get their arrays (workers/dispatch), and in the modules of argosy/store
that write or read payloads. Routes, workflows and SQL know nothing of it.

Rules:
- What is not sealed is read as it is. So sealing can begin at any time; what was written before stays as it was.
- A value that cannot be opened raises PayloadUnreadableError, which no retry mends: its key was destroyed with its
  tenant, or is wrapped by a master key that this process lacks, or the value was changed or moved. A turn that has
  one is parked with the reason payload_unreadable and can be resumed once its keys are back; a signal that is one
  stays due.
- A tenant's keys are read when they are needed and kept for PAYLOAD_KEYS_CACHE_S. While Postgres is away those that a
  process knows are good for PAYLOAD_KEYS_STALE_S_MAX more, so that a gateway goes on accepting; for other tenants it
  answers 503 until Postgres is back.
- Data keys are replaced by age and by use (argosy/store/tenant_key.py); old ones go on opening what they sealed.
"""
