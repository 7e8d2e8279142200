"""TLS on loopback: a certificate that only those trust who are told of its authority."""

from __future__ import annotations

import functools
import ssl
from datetime import datetime

import trustme


@functools.cache
def _authority() -> trustme.CA:
    return trustme.CA()


@functools.cache
def server_context() -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    _authority().issue_cert("127.0.0.1", "tts.example").configure_cert(context)
    return context


def server_context_until(end: datetime) -> ssl.SSLContext:
    """Return one whose certificate is good until ``end`` only."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    _authority().issue_cert("127.0.0.1", not_after=end).configure_cert(context)
    return context


@functools.cache
def client_context() -> ssl.SSLContext:
    """Return a context that trusts the server's certificate."""
    return ssl.create_default_context(cadata=authority())


def authority() -> str:
    """Return the certificate that a client has to trust."""
    return _authority().cert_pem.bytes().decode()
