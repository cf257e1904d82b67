"""The keys of tenants beside a backup: a file of its own, kept elsewhere, and shorter.

A backup has payloads as they are sealed, and none of the keys that open them: those are in this file, wrapped as in the
database. So what a deleted tenant had cannot be read any more in any backup, however old, once no keys file is left
from before: a file that is written later has that tenant's keys as destroyed ones. It opens what all other tenants had,
in older backups, too, because keys are only added and destroyed.

A database that was restored is the same installation, may lack keys, and destroys tenants of its own: what it lacks is
not lost to the backups of the one that goes on beside it, so it does not replace that one's file.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from argosy.backup.checked import is_as_written, sealed, text_of, write_whole
from argosy.backup.manifest import Manifest, NeededKey
from argosy.errors import GraphInputError, SettingError
from argosy.store.backup import KeyCopy, KeysRead

_FORMAT: Final = 1
_KIND: Final = "argosy keys"
_SIZE_BYTES_MAX: Final = 1_073_741_824  # a file that is named by mistake is not read whole
_NAMED_MAX: Final = 10  # in a message


class KeysFile(msgspec.Struct, frozen=True):
    """kind: says that it is such a file. installation: whose keys they are. made_at: they are as they were then.
    restores: see KeysRead; None: of a version that did not say. checksum: of the file, in hexadecimal, and last in it.
    """

    kind: str
    format: int
    installation: str
    made_at: datetime
    keys: list[KeyCopy]
    restores: int | None = None
    checksum: str = ""


class ChosenKeys(NamedTuple):
    """What a restore does about keys. keys: those that are to be there; None: those of the dump. lost: those that the
    backup's payloads need, and that are not there any more.
    """

    keys: list[KeyCopy] | None
    lost: list[NeededKey]


def write_keys(path: Path, found: KeysRead) -> None:
    """Write a keys file, in place of an older one of the same installation. Raises SettingError for any other file, and
    for one whose keys would be lost though no tenant was deleted since.
    """
    if not path.parent.is_dir():
        raise SettingError(f"there is no folder {path.parent}")
    if path.exists():
        try:
            before = read_keys(path)
        except GraphInputError as error:
            raise SettingError(f"{path} is there, and is no file of keys: name another one") from error
        if before.installation != found.installation:
            raise SettingError(f"{path} has the keys of another installation: name another file")
        if lost := _lost(before, found):
            raise SettingError(
                f"{path} has {_words(lost)}, which this database does not have, as after a restore without them: "
                "backups that need them could never be read again. Name another file, or move this one away first. "
                "Nothing was written"
            )
    made = KeysFile(_KIND, _FORMAT, found.installation, found.at, found.keys, found.restores)
    write_whole(path, text_of(sealed(made)))


def read_keys(path: Path) -> KeysFile:
    """Return a keys file. Raises GraphInputError when it is none, or not what was written."""
    try:
        with path.open("rb") as file:
            text = file.read(_SIZE_BYTES_MAX + 1)
        found = msgspec.json.decode(text, type=KeysFile)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise GraphInputError(f"{path} is no file of keys, or was cut or altered: {error}") from error
    if (found.kind, found.format) != (_KIND, _FORMAT):
        raise GraphInputError(f"{path} is no file of keys that this version reads: it is {found.kind} {found.format}")
    if not is_as_written(text, found.checksum):
        raise GraphInputError(f"{path} is not what was written: its checksum is another one")
    return found


def choose_keys(manifest: Manifest, given: KeysFile | None, *, is_without: bool) -> ChosenKeys:
    """Return which keys a restore of this backup gives the database. given: the file that was named; is_without: it is
    meant to go without. Raises SettingError when that would lose payloads that nobody meant to lose.
    """
    needed = manifest.keys or []
    if given is None:
        if needed and not is_without:
            raise SettingError(
                f"payloads of this backup are sealed with {_words(needed)}, which are not in it. Name the file that "
                "has them (--keys FILE), or say --without-keys: then nobody can read what they sealed. Nothing was "
                "restored"
            )
        now = datetime.now(UTC)
        return ChosenKeys(None if manifest.keys is None else [_destroyed(each, now) for each in needed], needed)
    if manifest.installation and given.installation != manifest.installation:
        raise SettingError("the keys are those of another installation than the backup's. Nothing was restored")
    known = {(each.tenant, each.key_id): each for each in given.keys}
    absent = [each for each in needed if (each.tenant, each.key_id) not in known]
    if given.made_at < manifest.made_at and (absent or manifest.keys is None):
        lacks = f", and lacks {_words(absent)}" if absent else ""
        raise SettingError(
            f"the keys are from before the backup{lacks}. Take the file that was written with it, or a later one "
            "(`argosy keys write`). Nothing was restored"
        )
    lost = [each for each in needed if (found := known.get((each.tenant, each.key_id))) is None or not found.wrapped]
    return ChosenKeys([*given.keys, *(_destroyed(each, given.made_at) for each in absent)], lost)


def needed_of(keys: Iterable[KeyCopy]) -> list[NeededKey]:
    """Return which keys payloads may need that were sealed while these were there."""
    return [NeededKey(each.tenant, each.key_id, each.is_digest) for each in keys if each.wrapped is not None]


def by_tenant(keys: Iterable[NeededKey]) -> dict[str, list[int]]:
    """Return the numbers of keys by tenant."""
    found: defaultdict[str, list[int]] = defaultdict(list)
    for each in keys:
        found[each.tenant].append(each.key_id)
    return dict(found)


def _lost(before: KeysFile, found: KeysRead) -> list[NeededKey]:
    """Return which keys only the file has. Those of a tenant that was deleted are meant to be gone; but only the
    database that wrote the file can say so, and not one that was restored beside it, or since.
    """
    is_same = before.restores == found.restores
    # The number alone does not tell: beside each other, two databases give the same one to keys that they make.
    there = {(each.tenant, each.key_id, each.created_at) for each in found.keys if is_same or each.wrapped is not None}
    return needed_of(each for each in before.keys if (each.tenant, each.key_id, each.created_at) not in there)


def _destroyed(key: NeededKey, at: datetime) -> KeyCopy:
    """Return the row of a key that is not there any more: no other may get its number."""
    return KeyCopy(key.tenant, key.key_id, key.is_digest, None, None, at, at)


def _words(keys: Sequence[NeededKey]) -> str:
    tenants = by_tenant(keys)
    named = ", ".join(f"{tenant} ({', '.join(map(str, ids))})" for tenant, ids in list(tenants.items())[:_NAMED_MAX])
    more = f" and {len(tenants) - _NAMED_MAX} more" if len(tenants) > _NAMED_MAX else ""
    return f"{len(keys)} keys of tenants: {named}{more}"
