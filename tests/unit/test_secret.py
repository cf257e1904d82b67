"""The shared secret, and the keys that are made of it."""

import stat
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from argosy.errors import SettingError
from argosy.secret import SECRET_FILE_NAME, hkdf, keys_of, load_keys, load_secret

CONFIGURED = "0123456789abcdef0123456789abcdef"


def test_a_key_is_made_as_rfc_5869_says() -> None:
    """Its first test case; of what comes out, the first block."""
    made = hkdf(b"\x0b" * 22, bytes(range(13)), bytes(range(0xF0, 0xFA)))

    assert made.hex() == "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"


def test_each_purpose_has_a_key_of_its_own_that_is_the_same_for_ever() -> None:
    keys = keys_of(CONFIGURED.encode())

    assert keys == load_keys(CONFIGURED, Path("/nonexistent"))
    assert len({*keys, CONFIGURED.encode()}) == 1 + len(keys)
    assert keys_of(CONFIGURED.encode() + b"x").calls != keys.calls
    assert keys.calls.hex() == "8968c56353c9388801b4d69676ad6e3c3fda973628f8887a08a9adeeb4209119"
    assert keys.cursors.hex() == "44a3127a50eedeedf7f57c14d5c5e6d97ca977dceddecf65bf45547dbaf9fb0a"


def test_the_configured_secret_wins(tmp_path: Path) -> None:
    assert load_secret(CONFIGURED, tmp_path) == load_secret(f" {CONFIGURED}\n", tmp_path) == CONFIGURED.encode()
    assert list(tmp_path.iterdir()) == []


def test_a_configured_secret_that_is_too_short_is_refused_and_not_shown(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="GRAPH_SERVICE_AUTH_SECRET has less than 32 characters") as caught:
        load_secret(CONFIGURED[1:], tmp_path)

    assert CONFIGURED[1:] not in str(caught.value)


def test_processes_that_start_at_once_mint_one_secret(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "argosy"

    with ProcessPoolExecutor(6, mp_context=get_context("spawn")) as processes:
        secrets = set(processes.map(load_secret, [""] * 24, [folder] * 24))

    assert len(secrets) == 1
    assert [path.name for path in folder.iterdir()] == [SECRET_FILE_NAME]
    assert stat.S_IMODE((folder / SECRET_FILE_NAME).stat().st_mode) == 0o600


def test_a_minted_secret_that_is_too_short_is_refused(tmp_path: Path) -> None:
    (tmp_path / SECRET_FILE_NAME).write_text("short")

    with pytest.raises(SettingError, match="shorter than 32 bytes"):
        load_secret("", tmp_path)


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(SettingError, match="cannot be read or made"):
        load_secret("", tmp_path / "file" / "below")
