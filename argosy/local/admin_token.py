"""Tokens for administrators that are made in the database itself: the way in, and the way back in.

Whoever can write to the database may do anything; so nobody is asked for a right here. It is audited all the same.
"""

import os
import uuid
from pathlib import Path
from typing import Final

from argosy.config import Settings
from argosy.errors import SettingError
from argosy.identity.api_token import TokenKind, digest, hint, mint
from argosy.identity.principal import PrincipalKind
from argosy.identity.scopes import Role
from argosy.store.audit import Act
from argosy.store.identity import Identities, NewToken
from argosy.store.pool import Pool, open_pool

TOKEN_FILE_NAME: Final = "admin-token"  # noqa: S105 (a file name)
_OWN_FILE_NAME: Final = "up-token"


async def make_admin_token(pool: Pool, name: str, made_by: str, lifetime_s: float | None = None) -> str:
    """Make a token for an administrator and return it. lifetime_s: None: it never expires."""
    token = mint(TokenKind.ADMIN)
    await _record(pool, token, name, made_by, lifetime_s)
    return token


def own_token(folder: Path) -> tuple[str, Path]:
    """Make a new token with which a tree asks its own gateway, for as long as they run; return it, and the file in
    which the gateway finds it (0600). It stands in no table.
    """
    token, path = mint(TokenKind.ADMIN), folder / _OWN_FILE_NAME
    try:
        _write(path, token)
    except OSError as error:
        raise SettingError(f"{path} cannot be written: {error.strerror}") from error
    return token, path


async def first_token(settings: Settings, dsn: str) -> Path | None:
    """Do what make_first_token does, in the data folder of these settings."""
    async with open_pool(settings, dsn) as pool:
        return await make_first_token(pool, settings.argosy_data_dir)


async def make_first_token(pool: Pool, folder: Path) -> Path | None:
    """Make a token for an administrator while there is no token at all, and return the file with it, which is this
    user's alone (0600); None when there are tokens. Raises SettingError when the file cannot be written.

    The file has another name until the token is in the table: what ends in between leaves a draft, which the next start
    gives its name, or writes anew.
    """
    path, draft = folder / TOKEN_FILE_NAME, folder / f".{TOKEN_FILE_NAME}.new"
    identities = Identities(pool)
    try:
        if await identities.list_tokens(None, None, 1):
            if not draft.exists():
                return None
            if await identities.find_token(digest(draft.read_text().strip())) is None:
                draft.unlink()  # somebody else made the first one meanwhile
                return None
        else:
            token = mint(TokenKind.ADMIN)
            _write(draft, token)
            await _record(pool, token, "first", "argosy up", None)
        draft.replace(path)
    except OSError as error:
        raise SettingError(f"a token for an administrator cannot be kept at {path}: {error.strerror}") from error
    return path


def _write(path: Path, token: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(f"{token}\n")
        file.flush()
        os.fsync(file.fileno())


async def _record(pool: Pool, token: str, name: str, made_by: str, lifetime_s: float | None) -> None:
    token_id = uuid.uuid4()
    row = NewToken(token_id, digest(token), None, name, Role.ADMIN, (), None, None, hint(token), made_by, lifetime_s)
    act = Act(PrincipalKind.LOCAL, made_by, None, None, "token.create", target=str(token_id))
    await Identities(pool).create_token(row, act)
