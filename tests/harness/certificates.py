"""Certificates for tests of TLS, each in files of a folder."""

import subprocess
from pathlib import Path
from typing import NamedTuple


class Issued(NamedTuple):
    """Files in PEM."""

    cert: str
    key: str


class Authority:
    """A CA, which issues certificates."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        self._own = self._made("ca", "-x509", "-subj", "/CN=ca", "-addext", "basicConstraints=critical,CA:TRUE")
        self.ca = self._own.cert

    def issue(self, name: str, san: str = "IP:127.0.0.1") -> Issued:
        """san: whom the certificate is for, as openssl has it."""
        issuer = ("-CA", self._own.cert, "-CAkey", self._own.key)
        return self._made(name, "-x509", *issuer, "-subj", f"/CN={name}", "-addext", f"subjectAltName={san}")

    def _made(self, name: str, *arguments: str) -> Issued:
        cert, key = str(self._folder / f"{name}.pem"), str(self._folder / f"{name}.key")
        new_key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key)
        command = ["/usr/bin/openssl", "req", *new_key, "-out", cert, "-days", "2", *arguments]
        subprocess.run(command, check=True, capture_output=True)
        return Issued(cert, key)
