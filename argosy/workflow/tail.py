"""The end of the text that a try of a step has filled last: where nearly every emit, one more token, goes."""

from argosy.workflow.channel import Channel


class Tail:
    """Asks for no lock and no bound: `room` characters of ASCII may still be added, while nothing else is filled and
    the turn has no event newer than `seq`.

    owner: the try that may. tokens: where it adds them; they belong to `channel` once that counts them. channel: None
    while nobody needs one: the tokens are the whole text then.
    """

    __slots__ = ("add", "channel", "name", "owner", "room", "seq", "step", "tokens", "tries")

    def __init__(
        self,
        owner: object,
        step: str,
        tries: int,
        name: str,
        tokens: list[str],
        room: int,
        seq: int,
        channel: Channel | None = None,
    ) -> None:
        self.owner = owner
        self.step = step
        self.tries = tries
        self.name = name
        self.tokens = tokens
        self.add = tokens.append
        self.room = room
        self.seq = seq
        self.channel = channel
