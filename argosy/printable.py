"""Text of others in our user's terminal."""

import re
from typing import Final

# C0 but tab and line feed, DEL, C1; and what turns the direction of the text around it.
_COMMANDS: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    r"""The text without anything that a terminal takes for a command: such characters are shown as \u001b is.

    JSON stays the JSON that it is.
    """
    return _COMMANDS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
