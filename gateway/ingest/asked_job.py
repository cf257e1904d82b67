"""The job that a request is about, which whoever asks may ask about."""

from starlette.requests import Request

from argosy.gateway import names
from argosy.gateway.access import tenant_of
from argosy.gateway.graph_asker import check_right
from argosy.gateway.ingest.job_source import not_found
from argosy.gateway.state import state_of
from argosy.graph.acl import Right
from argosy.store.ingest import JobRow


async def asked_job(request: Request, text: str, right: Right = Right.READ) -> JobRow:
    """Return the job with this id. right: to its graph, where access control lists are enforced. Raises Problem, and
    GraphForbiddenError.
    """
    job_id = names.job_id(text)
    row = await state_of(request).jobs.find(job_id, tenant_of(request))
    if row is None:
        raise not_found(job_id)
    await check_right(request, row.tenant, row.graph, right)
    return row
