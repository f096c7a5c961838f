"""Owns the certificates of a test: an authority of its own, and what it issues, as the files that a gateway reads."""

from __future__ import annotations

__all__ = ["Authority"]

import datetime as dt
import os
import ssl
from pathlib import Path

import trustme


class Authority:
    """An authority, and the directory for its files.

    Args:
        directory: where the files go; made if it is not there.
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.certificate = directory / "certificate.pem"
        self.key = directory / "key.pem"
        self.root = directory / "root.pem"
        self._ca = trustme.CA()
        self._ca.cert_pem.write_to_path(str(self.root))

    @property
    def config(self) -> dict[str, str]:
        """The section `tls` of a configuration."""
        return {"certificate": str(self.certificate), "key": str(self.key)}

    def issue(self, *names: str, expires: dt.datetime | None = None) -> bytes:
        """Write a new certificate and its key, as a renewal does; returns the certificate in DER."""
        made = self._ca.issue_cert(*(names or ("gateway.test", "127.0.0.1")), not_after=expires)
        chain = b"".join(each.bytes() for each in made.cert_chain_pems)
        self.replace(self.certificate, chain)
        self.replace(self.key, made.private_key_pem.bytes())
        return ssl.PEM_cert_to_DER_cert(made.cert_chain_pems[0].bytes().decode())

    @staticmethod
    def replace(path: Path, data: bytes) -> None:
        """Put another file in the place of one, in one step."""
        beside = path.with_suffix(".new")
        beside.write_bytes(data)
        beside.chmod(0o600)
        os.replace(beside, path)

    def trusting(self) -> ssl.SSLContext:
        """What a client knows that trusts this authority, and checks names."""
        return ssl.create_default_context(cafile=self.root)
