"""Signed calls: who signed what, when."""

import stat
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from argosy.errors import SettingError
from argosy.rpc.signed_pb2 import SignedRequest
from argosy.signing import SECRET_FILE_NAME, SignatureError, load_secret, sign, verify

SECRET, METHOD, MESSAGE, NOW_S = b"s" * 32, "/argosy.rpc.Worker/Poke", b"message", 1_800_000_000


def test_a_signed_message_is_believed() -> None:
    verify(SECRET, METHOD, sign(SECRET, METHOD, MESSAGE, NOW_S), NOW_S + 59, 60)


@pytest.mark.parametrize(
    ("secret", "method", "message", "now_s"),
    [
        (b"other" * 8, METHOD, MESSAGE, NOW_S),
        (SECRET, "/argosy.rpc.Worker/Other", MESSAGE, NOW_S),
        (SECRET, METHOD, b"another message", NOW_S),
        (SECRET, METHOD, MESSAGE, NOW_S + 61),
        (SECRET, METHOD, MESSAGE, NOW_S - 61),
    ],
    ids=["another secret", "another method", "another message", "too old", "from the future"],
)
def test_what_was_not_signed_is_refused(secret: bytes, method: str, message: bytes, now_s: int) -> None:
    request = sign(SECRET, METHOD, MESSAGE, NOW_S)
    request.body = message

    with pytest.raises(SignatureError):
        verify(secret, method, request, now_s, 60)


SIGNATURE = sign(SECRET, METHOD, MESSAGE, NOW_S).signature


@pytest.mark.parametrize(
    ("time_s", "signature"),
    [
        ("", ""),
        (str(NOW_S), ""),
        ("", SIGNATURE),
        ("now", SIGNATURE),
        (str(NOW_S), "ü"),
        (str(NOW_S + 1), SIGNATURE),
        (f" {NOW_S}", SIGNATURE),
    ],
)
def test_what_is_no_signature_is_refused(time_s: str, signature: str) -> None:
    request = SignedRequest(body=MESSAGE, time_s=time_s, signature=signature)

    with pytest.raises(SignatureError):
        verify(SECRET, METHOD, request, NOW_S, 60)


def test_the_configured_secret_wins(tmp_path: Path) -> None:
    assert load_secret("configured", tmp_path) == b"configured"
    assert list(tmp_path.iterdir()) == []


def test_processes_that_start_at_once_mint_one_secret(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "argosy"

    with ProcessPoolExecutor(6, mp_context=get_context("spawn")) as processes:
        secrets = set(processes.map(load_secret, [""] * 24, [folder] * 24))

    assert len(secrets) == 1
    assert [path.name for path in folder.iterdir()] == [SECRET_FILE_NAME]
    assert stat.S_IMODE((folder / SECRET_FILE_NAME).stat().st_mode) == 0o600


def test_a_secret_that_is_too_short_is_refused(tmp_path: Path) -> None:
    (tmp_path / SECRET_FILE_NAME).write_text("short")

    with pytest.raises(SettingError, match="shorter than 32 bytes"):
        load_secret("", tmp_path)


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(SettingError, match="cannot be read or made"):
        load_secret("", tmp_path / "file" / "below")
