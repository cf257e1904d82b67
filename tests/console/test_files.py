"""What the console consists of, and how it is handed out."""

import re
from pathlib import Path

import httpx2

from argosy.gateway.routes import console

FOLDER = console.FOLDER
MODULES = sorted(FOLDER.glob("*.js"))
IMPORT = re.compile(r'^(?:import|export)\b[^;]*?from "([^"]+)";', re.M)


def _imports(path: Path) -> list[str]:
    return [name.removeprefix("./") for name in IMPORT.findall(path.read_text())]


def test_the_page_and_all_its_files_are_there(http: httpx2.Client) -> None:
    page = http.get("/")

    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    for name in re.findall(r'(?:src|href)="(/console/[^"]+)"', page.text):
        assert http.get(name).status_code == 200, name
    for name in ("nothing.js", "..%2fapp.py", "__init__.py"):
        assert http.get(f"/console/{name}").status_code == 404, name


def test_a_page_may_load_and_call_its_gateway_alone(http: httpx2.Client) -> None:
    for path in ("/", "/console/app.js", "/console/style.css"):
        headers = http.get(path).headers

        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy
        assert headers["referrer-policy"] == "no-referrer"


def test_what_a_browser_has_is_not_sent_again(http: httpx2.Client) -> None:
    first = http.get("/console/app.js")

    again = http.get("/console/app.js", headers={"if-none-match": f'"other", W/{first.headers["etag"]}'})

    assert first.headers["cache-control"] == "no-cache"
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    assert http.get("/console/app.js", headers={"if-none-match": '"other"'}).status_code == 200


def test_modules_are_short_and_import_nothing_from_elsewhere() -> None:
    names = {path.name for path in MODULES}
    for path in MODULES:
        assert set(_imports(path)) <= names, path.name
        assert path.read_text().count("\n") <= 300, path.name


def test_modules_do_not_import_each_other_in_a_circle() -> None:
    left = {path.name: set(_imports(path)) for path in MODULES}
    while free := [name for name, imported in left.items() if not imported & left.keys()]:
        for name in free:
            del left[name]
    assert left == {}


def test_no_file_makes_markup_of_text_or_names_another_server() -> None:
    forbidden = re.compile(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|https?://")
    allowed = "http://www.w3.org/2000/svg"
    found = [
        f"{path.name}: {match[0]}"
        for path in sorted(FOLDER.iterdir())
        for match in forbidden.finditer(path.read_text().replace(allowed, ""))
    ]
    assert found == []
