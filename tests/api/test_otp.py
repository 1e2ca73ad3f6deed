"""The one-time password: published vectors, an independent reference, and what is refused."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
import hashlib
import json
from pathlib import Path
import time
from zoneinfo import ZoneInfo

from hypothesis import given, settings, strategies as st
import pytest

from custom_components.salto_ks.api.otp import OTP_LENGTH, IqOtp, is_iq_pin

VECTORS = json.loads(
    (Path(__file__).parent.parent / "vectors" / "otp.json").read_text(encoding="utf-8")
)["vectors"]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
SECRET = "0123456789abcDEF"


def reference(secret: str, pin: str, at: datetime) -> str:
    """Compute the OTP by another road: `time` for the calendar, whole seconds by division."""
    stamp = time.strftime("%Y%m%d%H%M%S", time.gmtime((at - EPOCH) // timedelta(seconds=1)))
    return hashlib.new("md5", (stamp + secret + pin).encode(), usedforsecurity=False).hexdigest()[
        :5
    ]


@pytest.fixture
def amsterdam(monkeypatch: pytest.MonkeyPatch) -> Iterator[ZoneInfo]:
    """Let the machine's own local time be that of Amsterdam."""
    with monkeypatch.context() as patched:
        patched.setenv("TZ", "Europe/Amsterdam")
        time.tzset()
        yield ZoneInfo("Europe/Amsterdam")
    time.tzset()


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["otp"])
def test_published_vector_is_reproduced(vector: dict[str, str]) -> None:
    """Every vector gives its OTP, and its stamp is the instant's whole second."""
    at = datetime.fromisoformat(vector["instant"])
    assert at.strftime("%Y%m%d%H%M%S") == vector["stamp"]
    assert IqOtp(vector["secret"], vector["pin"]).at(at) == vector["otp"]
    assert reference(vector["secret"], vector["pin"], at) == vector["otp"]


@given(
    secret=st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40),
    pin=st.integers(0, 9999).map("{:04d}".format),
    at=st.datetimes(
        min_value=datetime.fromisoformat("2000-01-01"),
        max_value=datetime.fromisoformat("2199-01-01"),
        timezones=st.sampled_from([UTC, ZoneInfo("Europe/Amsterdam"), ZoneInfo("Asia/Kathmandu")]),
    ),
)
@settings(deadline=None)
def test_otp_agrees_with_an_independent_reference(secret: str, pin: str, at: datetime) -> None:
    """For any secret, PIN and instant the OTP is that of a reference written separately."""
    otp = IqOtp(secret, pin).at(at)
    assert otp == reference(secret, pin, at)
    assert len(otp) == OTP_LENGTH
    assert set(otp) <= set("0123456789abcdef")


def test_case_of_the_secret_counts() -> None:
    """A secret is taken letter for letter: folding its case gives another OTP."""
    otp = IqOtp(SECRET, "1234").at(NOON)
    assert otp == reference(SECRET, "1234", NOON)
    assert otp not in {IqOtp(s, "1234").at(NOON) for s in (SECRET.upper(), SECRET.lower())}


def test_fractions_are_cut_off() -> None:
    """Up to the last microsecond of a second the OTP is that of its beginning, then the next."""
    otp = IqOtp(SECRET, "1234")
    last = NOON + timedelta(microseconds=999_999)
    assert otp.at(last) == otp.at(NOON)
    assert otp.at(last + timedelta(microseconds=1)) == reference(
        SECRET, "1234", NOON + timedelta(seconds=1)
    )


def test_counter_offset_moves_by_whole_seconds() -> None:
    """The inherited offset counts seconds, as the interval is one."""
    assert IqOtp(SECRET, "1234").at(NOON, -60) == reference(
        SECRET, "1234", NOON - timedelta(minutes=1)
    )


def test_leading_zeros_of_the_pin_are_kept() -> None:
    """0042 is signed as four characters."""
    assert IqOtp(SECRET, "0042").at(NOON) == reference(SECRET, "0042", NOON)
    assert IqOtp(SECRET, "0042").at(NOON) != reference(SECRET, "42", NOON)


@pytest.mark.parametrize(
    ("fold", "stamp"), [(0, "20261025003000"), (1, "20261025013000")], ids=["summer", "winter"]
)
def test_repeated_hour_gives_the_utc_stamp(amsterdam: ZoneInfo, fold: int, stamp: str) -> None:
    """Half past two comes twice on 25 October 2026; each has the stamp of its own UTC time."""
    assert time.localtime(0).tm_hour == 1
    at = datetime(2026, 10, 25, 2, 30, fold=fold, tzinfo=amsterdam)
    expected = hashlib.md5(f"{stamp}{SECRET}1234".encode(), usedforsecurity=False).hexdigest()[:5]
    assert IqOtp(SECRET, "1234").at(at) == expected
    assert IqOtp(SECRET, "1234").at(at.astimezone(UTC)) == expected


class Zoneless(tzinfo):
    """A zone that knows no offset, with which a datetime is still naive."""

    def utcoffset(self, _dt: datetime | None) -> None:
        """Tell nothing."""

    def dst(self, _dt: datetime | None) -> None:
        """Tell nothing."""

    def tzname(self, _dt: datetime | None) -> None:
        """Tell nothing."""


@pytest.mark.parametrize(
    "moment",
    [
        datetime.fromisoformat("2026-06-01T12:00:00"),
        datetime(2026, 6, 1, 12, tzinfo=Zoneless()),
        1_780_000_000,
    ],
    ids=["naive", "zone without offset", "seconds"],
)
def test_only_an_aware_datetime_is_taken(moment: datetime | int) -> None:
    """Anything that would be read as local time is refused."""
    with pytest.raises(ValueError, match="aware datetime only"):
        IqOtp(SECRET, "1234").at(moment)


def test_inherited_ways_through_local_time_are_closed() -> None:
    """`now`, `verify` and `provisioning_uri` raise, with and without arguments."""
    otp = IqOtp(SECRET, "1234")
    with pytest.raises(TypeError, match="use at"):
        otp.now()
    with pytest.raises(TypeError, match="by the IQ only"):
        otp.verify("28a5a")
    with pytest.raises(TypeError, match="by the IQ only"):
        otp.verify("28a5a", NOON, 1)
    with pytest.raises(TypeError, match="no provisioning address"):
        otp.provisioning_uri()
    with pytest.raises(TypeError, match="no provisioning address"):
        otp.provisioning_uri(name="doors@campsite.example")


NOT_PINS = [
    "",
    "123",
    "12345",
    "1234\n",
    "\n1234",
    " 1234",
    "12 4",
    "12a4",
    "-123",
    "\uff11\uff12\uff13\uff14",
    "\u0660\u0661\u0662\u0663",
]


@pytest.mark.parametrize("pin", NOT_PINS, ids=ascii)
def test_anything_but_four_ascii_digits_is_no_pin(pin: str) -> None:
    """A PIN of another form is refused, and the refusal does not repeat it."""
    assert not is_iq_pin(pin)
    with pytest.raises(ValueError, match=r"^an IQ PIN is exactly four digits$"):
        IqOtp(SECRET, pin)


@pytest.mark.parametrize("pin", ["0000", "0042", "1234", "9999"])
def test_four_digits_are_a_pin(pin: str) -> None:
    """Every four-digit text is a PIN."""
    assert is_iq_pin(pin)


def test_an_empty_secret_is_refused() -> None:
    """Without a secret there is nothing to sign with."""
    with pytest.raises(ValueError, match=r"^the IQ secret is empty$"):
        IqOtp("", "1234")


def test_nothing_printed_reveals_a_secret() -> None:
    """Neither text form of the object holds secret or PIN."""
    otp = IqOtp(SECRET, "9876")
    shown = f"{otp} {otp!r} {otp!s}"
    assert SECRET not in shown
    assert "9876" not in shown
