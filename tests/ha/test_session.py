"""What counts as the address of a server."""

import pytest

from custom_components.salto_ks.session import server_url_error


@pytest.fixture(autouse=True)
def _our_integration() -> None:
    """Start no Home Assistant for a test that only reads."""


@pytest.mark.parametrize(
    "address",
    [
        "https://connect.example.com",
        "https://connect.example.com/",
        "https://connect.example.com:8443",
        "HTTPS://CONNECT.EXAMPLE.COM",
        "https://192.168.1.20",
        "http://127.0.0.1:8124",
        "http://127.8.4.2",
        "http://localhost:8124",
        "http://[::1]:8124",
    ],
)
def test_good_address(address: str) -> None:
    """Any host is good with TLS, this machine also without."""
    assert server_url_error(address) is None


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("127.0.0.1:8124", "url_without_scheme"),
        ("localhost:8124", "url_without_scheme"),
        ("connect.example.com", "url_without_scheme"),
        ("ftp://127.0.0.1", "url_without_scheme"),
        ("//127.0.0.1", "url_without_scheme"),
        ("", "url_without_scheme"),
        ("https://connect.example.com/v1.2", "url_with_path"),
        ("https://connect.example.com/?site=1", "url_with_path"),
        ("https://connect.example.com/#top", "url_with_path"),
        ("http://connect.example.com", "url_insecure"),
        ("http://192.168.1.20:8124", "url_insecure"),
        ("http://127.0.0.1.example.com", "url_insecure"),
        ("http://0.0.0.0:8124", "url_insecure"),
        ("https://", "url_invalid"),
        ("https://name:word@connect.example.com", "url_invalid"),
        ("https://connect.example.com:99999", "url_invalid"),
        ("https://connect.example.com:0", "url_invalid"),
        ("https://connect.example.com:port", "url_invalid"),
        ("https://[::1", "url_invalid"),
        ("https://exa mple.com", "url_invalid"),
        ("http://localhost.example.com", "url_insecure"),
        ("http://[::2]:8124", "url_insecure"),
        ("http://2130706433", "url_insecure"),
    ],
)
def test_useless_address(address: str, key: str) -> None:
    """Each kind of mistake has a name of its own, and plain HTTP never leaves this machine."""
    assert server_url_error(address) == key
