"""A manifest that was cut or altered, wherever, is refused: it says itself what it was."""

import hashlib
import uuid
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from argosy.backup.checked import sealed
from argosy.backup.manifest import (
    FileSum,
    GraphFile,
    LogPositions,
    Manifest,
    MissingGraph,
    NeededKey,
    read_manifest,
    write_manifest,
)
from argosy.errors import GraphInputError

AT = datetime(2026, 11, 30, 18, 5, tzinfo=UTC)
FILE = FileSum("database.dump", 4711, hashlib.sha256(b"dump").hexdigest())
MADE = Manifest(
    format=3,
    backup_id=uuid.UUID(int=1),
    argosy="0.1.0",
    made_at=AT,
    readable_until=AT,
    lineage=7,
    database=FILE,
    logs=[LogPositions("default", "cluster/topic", "turns.default", {0: 12, 1: 34})],
    graphs=[GraphFile("acme", "crm", uuid.UUID(int=2), msgspec.structs.replace(FILE, path="graphs/2.argosy"))],
    missing=[MissingGraph("acme", "gone", uuid.UUID(int=3))],
    installation="here",
    keys=[NeededKey("acme", 1, False)],
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_manifest(tmp_path, sealed(MADE))
    return tmp_path / "manifest.json"


def refused(path: Path) -> str:
    with pytest.raises(GraphInputError) as caught:
        read_manifest(path.parent)
    return str(caught.value)


def test_what_was_written_is_read(path: Path) -> None:
    assert read_manifest(path.parent) == sealed(MADE)


def test_wherever_one_byte_is_another_one_it_is_refused(path: Path) -> None:
    text = path.read_bytes()
    for at in range(len(text)):
        for other in (text[at] ^ 1, 0x20 if text[at] != 0x20 else 0x31):
            path.write_bytes(text[:at] + bytes([other]) + text[at + 1 :])
            assert str(path) in refused(path)


def test_wherever_it_was_cut_it_is_refused(path: Path) -> None:
    text = path.read_bytes()
    for size in range(len(text)):
        path.write_bytes(text[:size])
        assert "was cut or altered" in refused(path)


@pytest.mark.parametrize("before", [b'"size_bytes": 471', b'"lineage": ', b'"0": 1'])
def test_a_digit_that_is_another_one_is_called_what_it_is(path: Path, before: bytes) -> None:
    text = path.read_bytes()
    at = text.index(before) + len(before)
    path.write_bytes(text[:at] + (b"3" if text[at : at + 1] != b"3" else b"4") + text[at + 1 :])

    said = refused(path)

    assert "is not what was written: its checksum is another one" in said
    assert "Nothing was restored" in said


def test_without_one_the_folder_is_no_backup(path: Path) -> None:
    path.unlink()

    assert "is no whole backup: it has no manifest.json" in refused(path)


@pytest.mark.parametrize("format_", [2, 3, 4])
def test_one_without_a_checksum_is_refused(path: Path, format_: int) -> None:
    path.write_bytes(msgspec.json.encode(msgspec.structs.replace(MADE, format=format_)))

    assert str(path) in refused(path)


def test_those_that_earlier_versions_wrote_are_read_and_have_their_keys_in_the_dump(path: Path) -> None:
    written = msgspec.json.decode(msgspec.json.encode(msgspec.structs.replace(MADE, format=1)))
    for member in ("checksum", "installation", "keys"):
        del written[member]
    path.write_bytes(msgspec.json.format(msgspec.json.encode(written), indent=2))
    first = msgspec.structs.replace(MADE, format=1, installation="", keys=None)

    assert read_manifest(path.parent) == first
    assert first.where_keys_are is None

    second = sealed(msgspec.structs.replace(first, format=2))
    write_manifest(path.parent, second)
    assert read_manifest(path.parent) == second
