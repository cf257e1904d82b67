"""Every block of code in the documentation runs as it is printed, or says why it cannot."""

import re
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from argosy.check.checker import check
from tests.docs.page import PAGES, ROOT, blocks
from tests.docs.story import Story

BLOCKS = [block for page in PAGES for block in blocks(page)]
FIRST_START = "README"  # begins in an empty folder; the others go on where a reader has been
TOLD = [page for page in PAGES if any(block.language in ("sh", "console") for block in blocks(page))]


def test_every_block_is_of_a_kind_that_is_run_or_is_a_picture() -> None:
    assert len(BLOCKS) > 30
    assert {block.language for block in BLOCKS} == {"python", "sh", "console", "text", "yaml"}


def test_every_yaml_block_is_one_that_kustomize_knows_and_names_an_overlay_that_is_here() -> None:
    shown = [yaml.safe_load(block.text) for block in BLOCKS if block.language == "yaml"]

    for each in shown:
        assert each.keys() <= {"resources", "components", "images", "configMapGenerator", "patches", "replicas"}
        assert [name for name in each["resources"] if not (ROOT / name.partition("//")[2]).is_dir()] == []


def test_every_python_block_is_a_file_or_stands_in_an_example() -> None:
    examples = [path.read_text(encoding="utf-8") for path in (ROOT / "examples").glob("*.py")]
    parts = [block for block in BLOCKS if block.language == "python" and not block.file]

    assert [block for block in parts if not any(block.text in text for text in examples)] == []


def test_every_workflow_that_is_shown_would_replay(tmp_path: Path) -> None:
    shown = [block for block in BLOCKS if block.file and re.search(r"^@(argosy\.)?workflow$", block.text, re.MULTILINE)]
    for number, block in enumerate(shown):
        (tmp_path / f"{number}_{block.file}").write_text(block.text, encoding="utf-8")

    report = check([str(path) for path in sorted(tmp_path.iterdir())], tmp_path)

    assert len(report.workflows) >= len(shown) > 3
    assert report.findings == []


def test_only_what_would_run_these_tests_again_or_needs_no_proof_is_not_run() -> None:
    assert {(block.page, block.text.split()[0]) for block in BLOCKS if block.not_run} == {
        ("README.md", "make"),
        ("CONTRIBUTING.md", "make"),
        ("tutorial.md", "make"),
        ("graph.md", "#"),  # a model of somebody else's
        ("graph.md", "curl"),  # a sealed graph, for which this fleet has no keys
        ("security.md", "openssl"),  # makes a secret
        ("security.md", "psql"),  # roles of a database
        ("security.md", "kafka-acls.sh"),  # tests/logs/test_sasl.py does what they say
        ("security.md", "argosy"),  # prints secrets, for gateways of one's own
        ("security.md", "AUTH_JWT_ISSUER=https://login.example"),  # an issuer of somebody else's
        ("security.md", "GRPC_TLS_CERT=/tls/tls.crt"),  # certificates of one's own
        ("operate.md", "argosy"),  # a gateway with tenants
        ("kubernetes.md", "kubectl"),  # a cluster
    }


@pytest.mark.parametrize("page", TOLD, ids=lambda page: page.stem.lower())
def test_what_a_page_tells_comes_out_as_it_is_printed(
    page: Path, folder: Path, make_cluster: Callable[[Path], None], request: pytest.FixtureRequest
) -> None:
    if page.stem != FIRST_START:
        make_cluster(folder / "data")
    own: dict[str, str] = {}
    settings: dict[str, str] = {}
    if page.stem == "operate":
        own["postgresql://user:password@host/db"] = request.getfixturevalue("empty_database")
        own["host:9092"] = request.getfixturevalue("broker")
        name = f"t{uuid.uuid4().hex[:10]}"
        settings = {"KAFKA_TOPIC_PREFIX": name, "KAFKA_GROUP": name, "AGENT_TURNS_PARTITIONS": "8"}

    with Story(folder, own, **settings) as story:
        for block in blocks(page):
            story.run(block)
