"""The tokens of administrators that are made in the database itself: the way in, and the way back in."""

import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest

from argosy.errors import SettingError
from argosy.identity.api_token import TokenKind, digest, is_token, mint
from argosy.local.admin_token import TOKEN_FILE_NAME, make_admin_token, make_first_token, own_token
from argosy.store.audit import Act, list_audit
from argosy.store.identity import Identities, TokenRow
from argosy.store.pool import Pool

ACT: Final = Act("local", "a test", None, None, "token.revoke")


class Installation:
    """A database, and the data folder of an `argosy up`."""

    def __init__(self, pool: Pool, folder: Path) -> None:
        self.pool = pool
        self.folder = folder
        self.file = folder / TOKEN_FILE_NAME
        self.draft = folder / f".{TOKEN_FILE_NAME}.new"
        self.identities = Identities(pool)

    async def start(self) -> Path | None:
        return await make_first_token(self.pool, self.folder)

    async def found(self, token: str) -> TokenRow | None:
        found = await self.identities.find_token(digest(token))
        return None if found is None else found[0]

    def kept(self) -> str:
        return self.file.read_text().strip()

    def leave_draft(self, token: str) -> None:
        self.folder.mkdir(exist_ok=True)
        self.draft.write_text(f"{token}\n")

    def files(self) -> dict[str, int]:
        return {each.name: stat.S_IMODE(each.stat().st_mode) for each in self.folder.glob("*")}


@pytest.fixture
async def installation(store_dsn: str, tmp_path: Path) -> AsyncIterator[Installation]:
    pool = Pool(store_dsn, 4, 30.0)
    yield Installation(pool, tmp_path / "data")
    await pool.close()


async def test_one_that_is_made_is_an_administrators_which_never_expires_and_is_audited(
    installation: Installation,
) -> None:
    token = await make_admin_token(installation.pool, "mine", "argosy tokens create --admin")
    brief = await make_admin_token(installation.pool, "brief", "argosy tokens create --admin", 60)

    row, other = await installation.found(token), await installation.found(brief)
    assert row is not None
    assert (row.tenant, row.role, row.name, row.expires_at, row.scopes) == (None, "admin", "mine", None, ())
    assert other is not None
    assert other.expires_at is not None
    assert token.startswith("argosy_a_")
    told = [each.act for each in await list_audit(installation.pool, None, None, 10)]
    assert [(each.action, each.target, each.actor_id) for each in told] == [
        ("token.create", str(each.token_id), "argosy tokens create --admin") for each in (other, row)
    ]


async def test_the_first_token_is_in_a_file_of_this_user_alone_and_is_made_once(installation: Installation) -> None:
    assert await installation.start() == installation.file
    token = installation.kept()

    assert await installation.start() is None
    assert installation.kept() == token
    assert is_token(token)
    assert (await installation.found(token)) is not None
    assert installation.files() == {TOKEN_FILE_NAME: 0o600}


async def test_none_is_made_where_there_are_tokens_also_when_all_have_ended(installation: Installation) -> None:
    token = await make_admin_token(installation.pool, "mine", "somebody")
    row = await installation.found(token)
    assert row is not None
    await installation.identities.revoke_token(row.token_id, None, ACT)

    assert await installation.start() is None
    assert installation.files() == {}


async def test_a_start_that_was_ended_before_the_table_had_the_token_is_made_up_for(
    installation: Installation,
) -> None:
    left = mint(TokenKind.ADMIN)
    installation.leave_draft(left)

    assert await installation.start() == installation.file
    assert installation.kept() != left
    assert await installation.found(installation.kept()) is not None
    assert await installation.found(left) is None
    assert installation.files() == {TOKEN_FILE_NAME: 0o600}


async def test_a_start_that_was_ended_before_the_file_had_its_name_is_made_up_for(installation: Installation) -> None:
    await installation.start()
    token = installation.kept()
    installation.file.replace(installation.draft)

    assert await installation.start() == installation.file
    assert installation.kept() == token


async def test_a_draft_of_a_token_that_never_was_is_gone_where_others_are(installation: Installation) -> None:
    await make_admin_token(installation.pool, "mine", "somebody")
    installation.leave_draft(mint(TokenKind.ADMIN))

    assert await installation.start() is None
    assert installation.files() == {}


async def test_a_token_that_was_revoked_is_not_brought_back_by_its_file(installation: Installation) -> None:
    await installation.start()
    old = installation.kept()
    # What retention does, long after it has ended.
    await installation.pool.execute("DELETE FROM tokens")

    assert await installation.start() == installation.file
    assert installation.kept() != old
    assert await installation.found(old) is None


async def test_a_folder_that_cannot_be_written_is_said(installation: Installation, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")

    with pytest.raises(SettingError, match="a token for an administrator cannot be kept"):
        await installation.start()

    assert await installation.identities.list_tokens(None, None, 1) == []


def test_a_tree_asks_with_a_token_of_its_own_that_is_new_at_each_start(tmp_path: Path) -> None:
    (first, path), (second, _) = own_token(tmp_path / "data"), own_token(tmp_path / "data")

    assert first != second
    assert path.read_text().strip() == second
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
