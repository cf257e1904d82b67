"""What the attempts of one worker stand on."""

import asyncio
from typing import NamedTuple

from argosy.config import Settings
from argosy.errors import SettingError
from argosy.graph.asker import Asker, turn_asker
from argosy.graph.facts import FencingToken
from argosy.graph.names import own_graph_of
from argosy.identity.principal import PrincipalKind
from argosy.identity.scopes import Scope
from argosy.identity.turn_principal import TurnPrincipal, principal_of_turn
from argosy.process import fork
from argosy.workers.dispatch.database_clock import DatabaseClock
from argosy.workers.dispatch.execution.executed import Followers
from argosy.workers.dispatch.execution.limits import Limits
from argosy.workers.dispatch.flush.flusher import Flusher
from argosy.workers.dispatch.turn import Turn
from argosy.workflow.graphs import Graphs, LaneGraphs, TurnGraphs
from argosy.workflow.ingests import Ingests


class Around(NamedTuple):
    """What the journals of a worker's turns share. lane_graphs: None when the worker knows no shards."""

    flusher: Flusher
    database_clock: DatabaseClock
    limits: Limits
    followers: Followers
    lane: str
    lane_graphs: LaneGraphs | None

    def graphs_of(self, turn: Turn) -> TurnGraphs:
        """Return the graphs as this attempt of the turn reaches them. Raises SettingError when there are no shards."""
        if self.lane_graphs is None:
            raise SettingError("there are no shards for graphs: set GRAPH_SERVICE_ENDPOINTS for this worker")
        token = FencingToken(turn.session_id, turn.owned.graph_epoch, turn.place, turn.attempt)
        own = own_graph_of(self.lane, turn.session_name)
        who = principal_of_turn(turn.created_by, turn.tenant)
        return TurnGraphs(self.lane_graphs, turn.tenant, own, token, turn.session_name, who, asker_of_turn(who, own))


def lane_graphs(graphs: Graphs | None, ingests: Ingests | None, settings: Settings) -> LaneGraphs | None:
    """Return the graphs as the turns of this process reach them. Called on the worker's loop."""
    if graphs is None:
        return None
    loop, own_ttl_s = asyncio.get_running_loop(), settings.graph_session_ttl_s or None
    return LaneGraphs(graphs, settings.lane, own_ttl_s, loop, fork.depth, ingests, settings.turn_rights_enforced)


def asker_of_turn(who: TurnPrincipal | None, own: str) -> Asker:
    """Return a turn as access control lists know it. Where nobody was asked, nobody knows who posted it."""
    if who is None or who.kind == PrincipalKind.LOCAL:
        return turn_asker(own, None)
    return turn_asker(own, who.known_as, is_admin=Scope.GRAPHS_ADMIN in who.scopes)
