"""An internet of our own: names lead to loopback, and its certificates are trusted.

Only what lies outside of Home Assistant is replaced, the name servers and the authorities that
sign certificates. Connections, TLS and HTTP are real.
"""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
import socket
import ssl
from threading import Thread

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.test_utils import TestServer
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from simulator import Simulator


class NameServer(AbstractResolver):
    """Knows some hosts, each at a port of this machine, and remembers what it was asked."""

    def __init__(self, ports: Mapping[str, int]) -> None:
        """Answer for these hosts alone."""
        self._ports = ports
        self.asked: list[str] = []

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return where a host is. Raises OSError for an unknown one."""
        self.asked.append(host)
        if host not in self._ports:
            raise OSError(f"{host} is not known")
        return [
            ResolveResult(
                hostname=host,
                host="127.0.0.1",
                port=self._ports[host],
                family=socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
        ]

    async def close(self) -> None:
        """Nothing has to be closed."""

    async def real_close(self) -> None:
        """Nothing has to be closed either when Home Assistant ends."""


def write_certificate(path: Path, *hosts: str) -> None:
    """Write a key and a certificate that it has signed for itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "An internet of our own")])
    now = datetime.now(UTC)
    names = x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    path.write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(pem)
    )


@asynccontextmanager
async def serving_tls(simulator: Simulator, certificate: Path) -> AsyncIterator[int]:
    """Serve a simulator with TLS on loopback; gives its port."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    server = TestServer(simulator.app(), host="127.0.0.1", scheme="https")
    await server.start_server(access_log=None, ssl=context)
    try:
        yield int(server.port or 0)
    finally:
        await server.close()


@contextmanager
def eavesdropping(certificate: Path) -> Iterator[tuple[int, list[int]]]:
    """Accept one TLS connection; gives the port, and how many bytes followed the handshake."""
    heard: list[int] = []
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)

    def listen() -> None:
        with suppress(OSError):
            plain, _ = listener.accept()
            with plain, context.wrap_socket(plain, server_side=True) as connection:
                heard.append(len(connection.recv(65536)))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = Thread(target=listen)
        thread.start()
        try:
            yield listener.getsockname()[1], heard
        finally:
            thread.join(timeout=10)
