"""Pages of the site that are not in docs/: README, CONTRIBUTING, CHANGELOG. Other files that pages link to are copied.

A page keeps the links that are right where it stands in the repository; here they become those of the site.
"""

import posixpath
import re
from pathlib import Path
from typing import Any, Final

from mkdocs.structure.files import File, Files

_ROOT: Final = Path(__file__).parent
_PAGES: Final = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
_LINK: Final = re.compile(r"\]\((?![a-z]+:|#)([^)\s#]+)(#[^)\s]*)?\)")


def on_files(files: Files, config: Any) -> Files:
    """Add what pages are or link to."""
    for name, uri in _PAGES.items():
        files.append(File.generated(config, uri, abs_src_path=str(_ROOT / name)))
    linked = {
        _in_repository(target, page)
        for page in [page.src_uri for page in files.documentation_pages()]
        for target, _ in _LINK.findall(_source_of(page).read_text(encoding="utf-8"))
    }
    for path in linked:
        if (_ROOT / path).is_file() and files.get_file_from_path(_in_site(path)) is None:
            files.append(File.generated(config, _in_site(path), abs_src_path=str(_ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Return the text with links into the site. One that leads nowhere stays as it is, and fails the build."""

    def moved(link: re.Match[str]) -> str:
        path = _in_repository(link[1], page.file.src_uri)
        if not (_ROOT / path).is_file():
            return link[0]
        target = posixpath.relpath(_in_site(path), posixpath.dirname(page.file.src_uri) or ".")
        return f"]({target}{link[2] or ''})"

    return _LINK.sub(moved, markdown)


def _source_of(uri: str) -> Path:
    return next((_ROOT / name for name, page in _PAGES.items() if page == uri), _ROOT / "docs" / uri)


def _in_repository(target: str, uri: str) -> str:
    """Return the path of what a page links to, from the root of the repository."""
    path = (_source_of(uri).parent / target).resolve()
    return str(path.relative_to(_ROOT)) if path.is_relative_to(_ROOT) else target


def _in_site(path: str) -> str:
    if path in _PAGES:
        return _PAGES[path]
    return path.removeprefix("docs/") if path.startswith("docs/") else f"files/{path}"
