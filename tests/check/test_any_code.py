"""Whatever code a file has, a check of it ends and says something."""

import ast
import asyncio
import json
from pathlib import Path
from types import ModuleType

import pytest

from argosy.check.checker import check
from tests.check.checking import write


def sources(package: ModuleType) -> list[Path]:
    return sorted(Path(str(package.__file__)).parent.glob("*.py"))


@pytest.mark.parametrize("path", [*sources(asyncio), *sources(json), *sources(ast)[:60]], ids=lambda path: path.stem)
def test_python_s_own_modules_can_be_looked_at_as_if_they_were_workflows(tmp_path: Path, path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    functions = [
        node for node in ast.walk(ast.parse(text)) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    ]
    lines = text.splitlines()
    for node in sorted(functions, key=lambda each: -each.lineno):
        first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
        lines.insert(first - 1, f"{' ' * node.col_offset}@argosy_workflow")
    text = "\n".join(["from argosy import workflow as argosy_workflow", *lines])
    if any(line.startswith("from __future__") for line in lines):
        text = "\n".join([*lines, "from argosy import workflow as argosy_workflow"])

    report = check([write(tmp_path, text, "code.py")], tmp_path)

    assert report.unreadable == []
    assert len(report.workflows) == len(functions)
