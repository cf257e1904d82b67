"""Loads the master keys of PAYLOAD_KEYS and PAYLOAD_KEYS_HOOK=module:object. The second runs the user's code."""

from argosy.config import Settings
from argosy.errors import SettingError
from argosy.seal.master import MasterKeys, master_keys
from argosy.workflow.named_function import load_function


def load_master_keys(settings: Settings) -> MasterKeys | None:
    """Return the master keys; None when payloads are not sealed. Raises SettingError."""
    keys = master_keys(settings.payload_keys)
    named = settings.payload_keys_hook
    if not named:
        return MasterKeys(keys, None, settings.payload_keys_timeout_s) if keys else None
    kms = load_function(settings, named, "PAYLOAD_KEYS_HOOK", "shop.kms:keys")
    if not all(callable(getattr(kms, each, None)) for each in ("wrap", "unwrap")):
        raise SettingError(f"PAYLOAD_KEYS_HOOK={named} is no object with wrap and unwrap")
    return MasterKeys(keys, kms, settings.payload_keys_timeout_s)
