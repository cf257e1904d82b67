"""Makes text from other sources safe to print in the user's terminal."""

import re
from typing import Final

# C0 without tab and line feed, DEL, C1; and characters that change the direction of the text around them.
_COMMANDS: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    r"""Return the text with every character that a terminal would interpret as a command escaped, such as \u001b.

    JSON keeps its meaning.
    """
    return _COMMANDS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
