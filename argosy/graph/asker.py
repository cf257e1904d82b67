"""Who asks a graph, as calls to shards say it. Pure.

An asker is a set of labels, such as `user:ID` and `role:NAME`, and access control lists (argosy/graph/acl.py) have
labels, too. Only whoever makes an asker gives it labels, and each kind of label has a prefix of its own: so no name
that a client chose becomes another's label.
"""

from typing import Final, NamedTuple

EVERYBODY: Final = "*"  # every principal of the tenant who is known
TURNS: Final = "turns"  # every turn of the tenant, whoever asked for it
_USER: Final = "user:"
_ROLE: Final = "role:"


class Asker(NamedTuple):
    """Who asks. is_admin: every right in every graph, and no list says otherwise: an administrator of graphs, or the
    fleet itself. enforced: lists hold for them. The process that asks says so if it enforces lists, and then a shard
    that does not enforce them refuses the call.
    """

    labels: frozenset[str]
    is_admin: bool = False
    enforced: bool = False


FLEET: Final = Asker(frozenset(), is_admin=True)


def user_label(principal_id: str) -> str:
    return f"{_USER}{principal_id}"


def own_labels(principal_id: str, roles: tuple[str, ...]) -> list[str]:
    """Return the labels of a principal that not everybody has, its own first."""
    return [user_label(principal_id), *(f"{_ROLE}{role}" for role in roles)]


def principal_asker(principal_id: str, roles: tuple[str, ...], *, is_admin: bool) -> Asker:
    """Return a principal as one who asks. principal_id: as whom lists know it. roles: of its credential."""
    return Asker(frozenset((EVERYBODY, *own_labels(principal_id, roles))), is_admin=is_admin)


def turn_asker(own_graph: str, principal_id: str | None, *, is_admin: bool = False) -> Asker:
    """Return a turn as one who asks: it has its session's own graph, what is open to turns, and what is open to the
    principal who asked for it. principal_id: as whom lists know it; None: nobody knows who that was. is_admin: the
    principal is.
    """
    labels = {TURNS, own_graph}
    if principal_id is not None:
        labels |= {EVERYBODY, user_label(principal_id)}
    return Asker(frozenset(labels), is_admin and principal_id is not None)


def told(asker: Asker | None, *, is_known: bool, enforces: bool) -> Asker | None:
    """Return who asks, as shards are told. is_known: KG_AUTH_REQUIRED. enforces: KG_BRAIN_ENFORCE.

    Shards hear it before they enforce lists, so that they can begin to while nobody else does. The fleet says always
    that it is the fleet, which no list holds back.
    """
    if asker is None or asker is FLEET:
        return asker
    return asker._replace(enforced=enforces) if is_known else None


def makers_label(asker: Asker) -> str:
    """Return the label of whoever makes a graph, who is to be its administrator: that of its principal, and of a turn
    of which nobody knows the principal that of turns. Empty: no label is its own.
    """
    own = sorted(label for label in asker.labels if label.startswith(_USER))
    return own[0] if own else TURNS if TURNS in asker.labels else ""
