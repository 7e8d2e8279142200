"""A certificate authority that lives as long as one run.

The clients under test then verify TLS by the code path of production: they get the authority's
certificate through ``SSL_CERT_FILE``, and no verification is switched off.
"""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import trustme

HOST = "127.0.0.1"
"""An address, so that no name has to be looked up: every contender would pay the same for it."""


@dataclass(frozen=True, slots=True)
class Certificates:
    """Files of one run: what clients trust, and what the server shows."""

    authority: Path
    chain: Path
    key: Path

    @classmethod
    def of(cls, folder: Path) -> Self:
        """Return the files of ``folder``."""
        return cls(folder / "authority.pem", folder / "server.pem", folder / "server.key")

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a process that trusts them, and whose numerical library starts no threads."""
        return {**os.environ, "SSL_CERT_FILE": str(self.authority), "OPENBLAS_NUM_THREADS": "1"}

    def server_context(self) -> ssl.SSLContext:
        """Return the TLS settings of the server."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.chain, self.key)
        return context


def make_certificates(folder: Path) -> Certificates:
    """Write an authority and a server certificate for :data:`HOST` into ``folder``."""
    files = Certificates.of(folder)
    authority = trustme.CA()
    server = authority.issue_cert(HOST)
    authority.cert_pem.write_to_path(files.authority)
    for number, certificate in enumerate(server.cert_chain_pems):
        certificate.write_to_path(files.chain, append=number > 0)
    files.key.touch(mode=0o600)
    server.private_key_pem.write_to_path(files.key)
    return files
