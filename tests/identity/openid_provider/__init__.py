"""A real OpenID provider (oidc-provider for Node) that gives agents access tokens; npm installs it on first use."""

import fcntl
import json
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from base64 import b64encode
from pathlib import Path
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from tests.harness.processes import ROOT, free_port

_HERE: Final = Path(__file__).parent
_INSTALLED: Final = ROOT / ".cache" / "openid-provider"
_READY_WITHIN_S: Final = 60.0
_NPM: Final = shutil.which("npm") or "npm"
_NODE: Final = shutil.which("node") or "node"


def _install() -> Path:
    """Install once for all processes of a run, anew when what it is made of has changed."""
    _INSTALLED.mkdir(parents=True, exist_ok=True)
    names = ("package.json", "package-lock.json")
    with (_INSTALLED / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = _INSTALLED / "done"
        wanted = "".join((_HERE / name).read_text() for name in names)
        if not done.exists() or done.read_text() != wanted:
            for name in names:
                shutil.copy(_HERE / name, _INSTALLED / name)
            subprocess.run([_NPM, "ci", "--silent", "--ignore-scripts"], cwd=_INSTALLED, check=True, timeout=300)
            done.write_text(wanted)
        shutil.copy(_HERE / "provider.mjs", _INSTALLED / "provider.mjs")
    return _INSTALLED


class OpenIdProvider:
    """One issuer on a port of its own. It signs with the newest key, and shows all that it has."""

    def __init__(self, folder: Path, *redirect_uris: str) -> None:
        """redirect_uris: to which it sends people back whom it signs in for its client `console`."""
        self._redirect_uris = redirect_uris
        self._program = _install() / "provider.mjs"
        self._keys_file = folder / "issuer-private-keys.json"
        self._log = folder / "openid-provider.log"
        self._keys: list[dict[str, Any]] = []
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        self.add_key("first")

    @property
    def issuer(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def add_key(self, kid: str) -> None:
        """Have another key, from the next start on; the newest signs."""
        private = jwt.get_algorithm_by_name("ES256").to_jwk(ec.generate_private_key(ec.SECP256R1()), as_dict=True)
        self._keys.insert(0, {**private, "kid": kid, "use": "sig", "alg": "ES256"})

    def drop_key(self, kid: str) -> None:
        """Have a key no more, from the next start on."""
        self._keys = [each for each in self._keys if each["kid"] != kid]

    def start(self) -> None:
        self._keys_file.write_text(json.dumps({"keys": self._keys}))
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [_NODE, self._program, str(self.port), self._keys_file, *self._redirect_uris], stdout=log, stderr=log
            )
        deadline_s = time.monotonic() + _READY_WITHIN_S
        while True:
            try:
                urllib.request.urlopen(f"{self.issuer}/jwks", timeout=5).close()  # noqa: S310 (its own address)
                return
            except (urllib.error.URLError, ConnectionError):
                assert self._process.poll() is None, self._log.read_text()
                assert time.monotonic() < deadline_s, self._log.read_text()
                time.sleep(0.05)  # a process of Node tells nobody that it listens

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def token(self, client: str, *, resource: str = "https://argosy", scope: str = "") -> str:
        """Return an access token that the issuer gives a client for itself."""
        form = {"grant_type": "client_credentials", "resource": resource, **({"scope": scope} if scope else {})}
        request = urllib.request.Request(  # noqa: S310 (its own address)
            f"{self.issuer}/token",
            urllib.parse.urlencode(form).encode(),
            {"Authorization": "Basic " + b64encode(f"{client}:of-a-test".encode()).decode()},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            token: str = json.load(answer)["access_token"]
            return token
