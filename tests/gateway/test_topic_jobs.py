"""The job of a topic, as clients see it."""

import uuid

import httpx2

from argosy.ingest.chain import EMPTY
from argosy.ingest.job import LANE, JobKind, WaitsFor, bucket_of_graph, key_of_topic
from argosy.store.ingest import Jobs, NewJob
from argosy.store.ingest_notes import JobNote, Note, Notes, Verdict
from argosy.store.pool import Pool
from tests.gateway.rows import Rows


async def test_a_topic_that_is_read_waits_for_nothing(client: httpx2.AsyncClient, gateway_dsn: str, rows: Rows) -> None:
    """It is no upload: nothing of it is still to be sent."""
    pool = Pool(gateway_dsn, 2, 10.0)
    jobs, notes = Jobs(pool), Notes(pool, LANE, rejects_max=5)
    life, job_id = uuid.uuid4(), uuid.uuid4()
    bucket = bucket_of_graph(rows.tenant, "shop")
    row = await jobs.begin(
        NewJob(job_id, rows.tenant, "shop", life, JobKind.TOPIC, bucket, key_of_topic("orders")), "cluster/topic"
    )
    begun = (await client.get(f"/v1/ingest/{job_id}")).json()
    await notes.begin()
    notes.log_id = "cluster/topic"
    about = (job_id, rows.tenant, "shop", life, bucket, row.made_at)
    said = JobNote(*about, 8, EMPTY, 6, 1, 0.0, WaitsFor.NOTHING, None, None, Verdict.NOTHING, "", "")
    await notes.say(Note(jobs=[said]))
    read = (await client.get(f"/v1/ingest/{job_id}")).json()
    await pool.close()

    assert [(each["kind"], each["waits_for"]) for each in (begun, read)] == [("topic", "worker")] * 2  # none runs here
    assert (read["applied"], read["rejected"], read["lines"], read["idempotency_key"]) == (6, 1, None, None)
