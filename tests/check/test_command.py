"""`argosy check` as people and build servers call it."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from argosy.check.command import check_files
from tests.check.checking import HEAD, workflow_of, write
from tests.harness.processes import ARGOSY

ROOT = Path(__file__).parents[2]


def run(folder: Path, *arguments: str) -> tuple[int, str, str]:
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "ARGOSY_NONSENSE": "no affair of this command"}
    done = subprocess.run(
        [str(ARGOSY), "check", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "Traceback" not in done.stdout + done.stderr
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def run_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """As `run`, in this process: for what a file is found to be, and not for how a command ends."""
    monkeypatch.chdir(tmp_path)

    def check(*entries: str) -> tuple[int, str, str]:
        code = check_files(entries, is_json=False)
        said = capsys.readouterr()
        return code, said.out, said.err

    return check


def test_findings_are_lines_as_compilers_write_them_and_exit_code_1(tmp_path: Path) -> None:
    write(tmp_path, workflow_of("return time.time()", "import time"))

    code, output, errors = run(tmp_path, "my.py")

    assert (code, errors) == (1, "")
    line, summary = output.splitlines()
    assert line.startswith("my.py:7:12: time: time.time() gives another time in a replay: use await ctx.now()")
    assert summary == "1 finding; 1 workflow looked at: f"


def test_without_findings_it_says_what_was_looked_at_and_exit_code_0(tmp_path: Path) -> None:
    write(tmp_path, workflow_of("asyncio.create_task(ctx.sleep(1))"), "a.py")
    write(tmp_path, HEAD + "@workflow\ndef g(ctx): ...\n", "b.py")

    code, output, errors = run(tmp_path, "a.py", "b")

    assert (code, errors) == (0, "")
    assert output.splitlines()[0].startswith("a.py:7:5: note: dropped-task: ")
    assert output.splitlines()[1] == "no findings, 1 note; 2 workflows looked at: f, g"


def test_machines_get_one_json_object(tmp_path: Path) -> None:
    write(tmp_path, workflow_of("helper()\n1  # argosy: ok", "import time\ndef helper():\n    time.time()"))

    code, output, _ = run(tmp_path, "--json", "my.py")

    told = json.loads(output)
    assert code == 1
    (finding,) = told["findings"]
    assert finding.pop("message")
    assert finding == {
        "path": "my.py",
        "line": 6,
        "column": 5,
        "code": "time",
        "is_note": False,
        "function": "helper",
        "workflow": "f",
    }
    assert told["workflows"] == [{"name": "f", "path": "my.py", "line": 8}]
    assert (told["unreadable"], told["suppressed"]) == ([], 0)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"def broken(:\n", "SyntaxError: "),
        (b"async def f(): ...\nawait f()\n", "SyntaxError: 'await' outside function (my.py:2)"),
        (b"x = '\xff'\n", "SyntaxError: "),
        (b"# coding: latin-9000\n", "SyntaxError: unknown encoding: latin-9000"),
        (b"# coding: ascii\nx = '\xff'\n", "it is not text in ascii"),
        (b"x = 1\x00\n", "null byte"),
        (b"x = " + b"(" * 5000 + b")" * 5000, "too many nested parentheses"),
        (b"x = " + b"-" * 100_000 + b"1", "nested too deeply"),
    ],
)
def test_a_file_that_is_no_python_is_one_line_and_exit_code_2(
    tmp_path: Path, run_here: Callable[..., tuple[int, str, str]], content: bytes, words: str
) -> None:
    (tmp_path / "my.py").write_bytes(content)

    code, output, errors = run_here("my.py")

    assert (code, output, len(errors.splitlines())) == (2, "", 1), errors
    assert errors.startswith("argosy: my.py: ")
    assert words in errors


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("nowhere.py", "there is no file "),
        ("nowhere.at.all", "there is no module nowhere"),
        ("folder.py", "there is no file "),
        ("circle.py", "it is no path: "),
        ("x" * 300 + ".py", "it is no path: "),
        ("~nobody-here/my.py", "it is no path: "),
        ("notes.txt", "it is neither a path that ends in .py nor a module such as shop.workflows"),
        ("sys", "it has no source in a .py file"),
        ("", "it is neither a path that ends in .py nor a module such as shop.workflows"),
        ("bell\x07.py", "bell\\u0007.py"),
    ],
)
def test_what_is_no_file_is_one_line_and_the_others_are_still_looked_at(
    tmp_path: Path, run_here: Callable[..., tuple[int, str, str]], entry: str, words: str
) -> None:
    (tmp_path / "folder.py").mkdir()
    (tmp_path / "notes.txt").touch()
    (tmp_path / "circle.py").symlink_to("circle.py")
    write(tmp_path, workflow_of("return time.time()", "import time"))

    code, output, errors = run_here(entry, "my.py")

    assert (code, len(errors.splitlines())) == (2, 1), errors
    assert words in errors
    assert "my.py:7:12: time: " in output


def test_a_neighbour_that_is_no_python_is_told(tmp_path: Path) -> None:
    write(tmp_path, "def broken(:\n", "helpers.py")
    write(tmp_path, workflow_of("clock()", "from helpers import clock"))

    code, _, errors = run(tmp_path, "my.py")

    assert code == 2
    assert errors.startswith("argosy: helpers.py: SyntaxError: ")


def test_files_without_a_workflow_are_exit_code_2(tmp_path: Path) -> None:
    write(tmp_path, "x = 1\n")

    assert run(tmp_path, "my.py") == (
        2,
        "",
        "argosy: no workflow found in my.py: nothing there is decorated with argosy.workflow\n",
    )


def test_a_reader_that_has_enough_ends_it_quietly(tmp_path: Path) -> None:
    write(tmp_path, workflow_of("import time\n" + "time.time()\n" * 5_000))
    command = [str(ARGOSY), "check", "my.py"]

    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        errors = process.stderr.read()

    assert errors == b""
    assert process.returncode == 1


def test_long_and_deep_code_is_looked_at(tmp_path: Path) -> None:
    chain = " + ".join(["'x'"] * 900)
    ladder = "if order == 0:\n    pass\n" + "".join(f"elif order == {n}:\n    pass\n" for n in range(1, 60))
    calls = "order" + ".then('x')" * 900
    write(tmp_path, workflow_of(f"{ladder}text = {chain}\n{calls}.open()\nreturn time.time()", "import time"))

    code, output, _ = run(tmp_path, "my.py")

    assert (code, output.count(" time: ")) == (1, 1)


def test_what_ships_with_argosy_replays() -> None:
    shipped = [str(each) for each in sorted((ROOT / "argosy/workflows").glob("*.py"))]
    # unsound.py is there to be found out; the page of workflows has what is said of it.
    examples = [str(each) for each in sorted((ROOT / "examples").rglob("*.py")) if each.name != "unsound.py"]

    code, output, errors = run(ROOT, *shipped, *examples)

    assert (code, errors) == (0, "")
    assert "ask_library, echo, support_triage" in output
