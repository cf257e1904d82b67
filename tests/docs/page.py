"""A page of the documentation: its blocks of code, its links, and the names that it gives to files."""

import re
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).parents[2]
PAGES: Final = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]

_NOT_RUN: Final = re.compile(r"<!-- not run: (.*) -->")
_FILE: Final = re.compile(r"# ([a-z_]+\.py)\b")
_FENCED: Final = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A block of code. not_run: why it is not run; empty: it is."""

    page: str
    line: int
    language: str
    text: str
    not_run: str

    @property
    def file(self) -> str:
        """The name of the file that a Python block is; empty: it is a part of one."""
        found = _FILE.match(self.text) if self.language == "python" else None
        return found[1] if found else ""


def blocks(page: Path) -> list[Block]:
    """Return the blocks of a page, in their order."""
    found: list[Block] = []
    lines = page.read_text(encoding="utf-8").splitlines()
    at = 0
    while at < len(lines):
        if not lines[at].startswith("```"):
            at += 1
            continue
        end = lines.index("```", at + 1)
        why = _NOT_RUN.fullmatch(lines[at - 1])
        text = "".join(f"{line}\n" for line in lines[at + 1 : end])
        found.append(Block(page.name, at + 1, lines[at][3:], text, why[1] if why else ""))
        at = end + 1
    return found


def prose(page: Path) -> str:
    """Return the text of a page without its blocks of code."""
    return _FENCED.sub("", page.read_text(encoding="utf-8"))


def links(page: Path) -> list[str]:
    """Return the targets of its links."""
    return re.findall(r"\]\(([^)\s]+)\)", prose(page))


def anchors(page: Path) -> set[str]:
    """Return what a link may name behind `#`: each heading, as GitHub and the site write it."""
    headings = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
