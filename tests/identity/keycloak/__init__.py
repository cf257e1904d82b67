"""A real Keycloak with one realm; Maven fetches it on first use."""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any, Final

from tests.harness.processes import ROOT, free_port

VERSION: Final = "26.0.8"  # the last that runs on Java 17
PASSWORD: Final = "of-a-test"
_REALM: Final = Path(__file__).with_name("realm.json")
_FETCHED: Final = ROOT / ".cache" / "keycloak"
_READY_WITHIN_S: Final = 180.0
_MVN: Final = shutil.which("mvn") or "mvn"
# What a client has the realm write into its access tokens.
_MAPPERS: Final[dict[str, dict[str, Any]]] = {
    "argosy": {"protocolMapper": "oidc-audience-mapper", "config": {"included.custom.audience": "argosy"}},
    "tenant": {
        "protocolMapper": "oidc-hardcoded-claim-mapper",
        "config": {"claim.name": "tenant", "claim.value": "acme", "jsonType.label": "String"},
    },
    "roles": {
        "protocolMapper": "oidc-usermodel-realm-role-mapper",
        "config": {"claim.name": "roles", "jsonType.label": "String", "multivalued": "true"},
    },
}


def _fetch() -> Path:
    """Fetch it once for all processes of a run; its folder."""
    folder = _FETCHED / f"keycloak-{VERSION}"
    _FETCHED.mkdir(parents=True, exist_ok=True)
    with (_FETCHED / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            artifact = f"org.keycloak:keycloak-quarkus-dist:{VERSION}:zip"
            unpacked = _FETCHED / "unpacked"
            command = [_MVN, "-q", "-B", "dependency:unpack", f"-Dartifact={artifact}", f"-DoutputDirectory={unpacked}"]
            subprocess.run(command, cwd=_FETCHED, check=True, timeout=600)
            (unpacked / folder.name).rename(folder)
    return folder


class Keycloak:
    """One Keycloak on a port of its own, with the realm `acme` and an administrator."""

    def __init__(self, folder: Path, *redirect_uris: str) -> None:
        """redirect_uris: to which it sends people back whom it signs in for its client `console`."""
        self._home = folder / "keycloak"
        shutil.copytree(_fetch(), self._home)
        (self._home / "bin" / "kc.sh").chmod(0o755)
        realm = json.loads(_REALM.read_text())
        for client in realm["clients"]:
            client["redirectUris"] = list(redirect_uris)
            client["protocolMappers"] = [
                {
                    "name": name,
                    "protocol": "openid-connect",
                    "protocolMapper": _MAPPERS[name]["protocolMapper"],
                    "config": {**_MAPPERS[name]["config"], "access.token.claim": "true", "id.token.claim": "false"},
                }
                for name in client["protocolMappers"]
            ]
        imported = self._home / "data" / "import" / "realm.json"
        imported.parent.mkdir(parents=True)
        imported.write_text(json.dumps(realm))
        self._log = folder / "keycloak.log"
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def issuer(self) -> str:
        return f"{self.url}/realms/acme"

    def start(self) -> None:
        command = [
            str(self._home / "bin" / "kc.sh"), "start-dev", "--import-realm", "--cache=local",
            "--http-host=127.0.0.1", f"--http-port={self.port}",
        ]  # fmt: skip
        environment = {
            **os.environ,
            "KC_BOOTSTRAP_ADMIN_USERNAME": "admin",
            "KC_BOOTSTRAP_ADMIN_PASSWORD": PASSWORD,
            "JAVA_OPTS_APPEND": "-Xmx512m",
        }
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True)
        deadline_s = time.monotonic() + _READY_WITHIN_S
        while True:
            try:
                self._asked(f"{self.issuer}/.well-known/openid-configuration")
                return
            except (urllib.error.URLError, ConnectionError):
                assert self._process.poll() is None, self._log.read_text()
                assert time.monotonic() < deadline_s, self._log.read_text()
                time.sleep(0.5)  # it tells nobody that it listens

    def stop(self) -> None:
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)  # the script, and the JVM that it started
            self._process.wait()
            self._process = None

    def token(self, client: str) -> str:
        """Return an access token that the realm gives a client for itself."""
        form = {"grant_type": "client_credentials", "client_id": client, "client_secret": PASSWORD}
        return self._token("acme", form)

    def add_key(self) -> None:
        """Have another key, with which the realm signs from now on; the old one stays good."""
        admin = self._token(
            "master", {"grant_type": "password", "client_id": "admin-cli", "username": "admin", "password": PASSWORD}
        )
        component = {
            "name": "newer",
            "providerId": "rsa-generated",
            "providerType": "org.keycloak.keys.KeyProvider",
            "config": {"priority": ["1000"], "algorithm": ["RS256"], "keySize": ["2048"]},
        }
        headers = {"Authorization": f"Bearer {admin}", "Content-Type": "application/json"}
        self._asked(f"{self.url}/admin/realms/acme/components", json.dumps(component).encode(), headers)

    def _token(self, realm: str, form: dict[str, str]) -> str:
        path = f"{self.url}/realms/{realm}/protocol/openid-connect/token"
        token: str = json.loads(self._asked(path, urllib.parse.urlencode(form).encode()))["access_token"]
        return token

    @staticmethod
    def _asked(url: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> bytes:
        request = urllib.request.Request(url, body, headers or {})  # noqa: S310 (its own address)
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            found: bytes = answer.read()
            return found
