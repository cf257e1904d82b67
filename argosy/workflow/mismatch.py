"""History and code have parted: what is said of it."""

from argosy.workflow.journal import Park

_NAMES_MAX = 5


def mismatch(recorded: str, wanted: list[str], digest: str = "", digest_now: str = "") -> Park:
    """recorded: what history has next; wanted: what the code asks for instead, nothing when it returned. digest: of the
    arguments of the recorded step, when the code asks for it with others.
    """
    if digest:
        what = (
            f"history has {recorded} with arguments of digest {digest}, which the code now calls with arguments of "
            f"digest {digest_now}"
        )
    else:
        more = "" if len(wanted) <= _NAMES_MAX else f" and {len(wanted) - _NAMES_MAX} more"
        instead = f"asks for {', '.join(wanted[:_NAMES_MAX])}{more} instead" if wanted else "returned"
        what = f"history has the outcome of {recorded}, which the code does not ask for at this place; it {instead}"
    return Park(
        "history_mismatch",
        f"{what}. Deploy the code that the turn began with (or cancel the turn), then resume it",
    )
