"""Claims of a worker, as if it had made them."""

from argosy.log import Identity
from argosy.workers.dispatch.claims import Claims
from argosy.workers.dispatch.owned import Owned


def claims_of(*owned: Owned, partition_count: int = 1) -> Claims:
    claims = Claims()
    claims.begin(Identity("c", "t", partition_count))
    claims.owned.update({each.partition: each for each in owned})
    return claims
