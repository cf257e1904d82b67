"""The rules for the code of workflows, one file for each kind of fault. RULES has all of them."""

from typing import Final

from argosy.check.look import Rule
from argosy.check.rules.attempt import attempts
from argosy.check.rules.calls import calls
from argosy.check.rules.cancelled import swallowed_cancels
from argosy.check.rules.order import set_orders
from argosy.check.rules.state import shared_state
from argosy.check.rules.unawaited import unawaited

RULES: Final[tuple[Rule, ...]] = (calls, unawaited, shared_state, set_orders, swallowed_cancels, attempts)
