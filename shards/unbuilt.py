"""Graphs of which no view could be made, and when that is tried again. Pure: the time is a parameter.

Rules:
- After a build that failed there is a pause, in which queries have its error at once.
- For a graph that is too large the pause is many times as long as the build took, so that such builds keep few turns
  from others. One that had no room is not read again either until a node, an edge or a property was deleted from it: it
  would fail again.
- So many graphs are remembered. One that is forgotten is built again, and fails again. An error that is raised has the
  traceback, and by that the parameters, of the query that got it: each query has one of its own.
"""

import copy
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from argosy.errors import ArgosyError, GraphTooLargeError
from argosy.graph.facts import GraphName, GraphRef
from argosy.graph.ops import DeleteEdge, DeleteNode, MergeProps, Op

# A build that failed by chance is soon tried again; one that fails at once each time begins a process this seldom.
_PAUSE_S: Final = 5.0
_PAUSE_OF_LARGE: Final = 10  # times the build: such a graph is being built for a tenth of the time at most
_MAX: Final = 1_000  # that are remembered: each is an error of about a kilobyte, a megabyte together


class SlowBuildError(GraphTooLargeError):
    """A graph was not read in time: it may be when the machine has less to do."""


@dataclass(slots=True)
class _Failed:
    ref: GraphRef
    fault: ArgosyError
    until_s: float
    may_fit: bool


class Unbuilt:
    """Used on one event loop."""

    def __init__(self) -> None:
        self._failed: OrderedDict[GraphName, _Failed] = OrderedDict()

    def failed(self, ref: GraphRef, fault: ArgosyError, took_s: float, now_s: float) -> None:
        """Note how a build of a graph failed."""
        is_large = isinstance(fault, GraphTooLargeError)
        pause_s = max(_PAUSE_S, took_s * _PAUSE_OF_LARGE) if is_large else _PAUSE_S
        may_fit = not is_large or isinstance(fault, SlowBuildError)
        self._failed[_name_of(ref)] = _Failed(ref, copy.copy(fault), now_s + pause_s, may_fit)
        if len(self._failed) > _MAX:
            self._failed.popitem(last=False)

    def check(self, ref: GraphRef, now_s: float) -> None:
        """Raise the error of the last build of a graph when there is to be no other one yet."""
        failed = self._failed.get(_name_of(ref))
        if failed is None:
            return
        if failed.ref.life == ref.life and (now_s < failed.until_s or not failed.may_fit):
            raise copy.copy(failed.fault)
        self.forget(ref)

    def committed(self, ref: GraphRef, ops: Sequence[Op]) -> None:
        """Note what was written: a graph from which something was deleted may fit. Of an upsert that sets less than was
        there nobody knows it here.
        """
        failed = self._failed.get(_name_of(ref))
        if failed is not None and any(map(_deletes, ops)):
            failed.may_fit = True

    def forget(self, ref: GraphRef) -> None:
        self._failed.pop(_name_of(ref), None)


def _deletes(op: Op) -> bool:
    """Whether an operation takes something from its graph: a node, an edge or a property."""
    return isinstance(op, DeleteNode | DeleteEdge) or (isinstance(op, MergeProps) and None in op.props.values())


def _name_of(ref: GraphRef) -> GraphName:
    return GraphName(ref.tenant, ref.graph)
