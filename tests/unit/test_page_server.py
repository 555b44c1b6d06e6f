"""What servers of pages have in common: their certificate, their address, who comes in."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest
from cryptography import x509

from streams.authority import Authority
from streams.credentials import issue
from streams.errors import ConfigError, CredentialError
from streams.page_server import (
    Listen,
    Tls,
    admission,
    certificate_name,
    own_state,
    page_certificate,
    page_url,
    said_ready,
)


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Those of any server of pages."""

    name: str = "first-hospital"
    region: str = "north"
    state: str = ""
    roster: str = ""
    authority: str = ""
    listen: Listen = Listen()
    tls: Tls = Tls()


def names(certificate: Path) -> list[str]:
    found = x509.load_pem_x509_certificate(certificate.read_bytes()).extensions
    alternative = found.get_extension_for_class(x509.SubjectAlternativeName).value
    return [str(name.value) for name in alternative]


def test_page_certificate_beside_the_authority_holds_the_addresses_and_not_any(
    tmp_path: Path,
) -> None:
    settings = Settings(
        authority=str(Authority(tmp_path).ensure()),
        listen=Listen(host="0.0.0.0"),
        tls=Tls(addresses=("board.example", "192.0.2.7")),
    )
    found = names(page_certificate(settings).certificate)
    assert {"board.example", "192.0.2.7", "localhost"} <= set(found)
    assert "0.0.0.0" not in found


def test_page_certificate_on_another_machine_says_what_to_do_and_makes_nothing(
    tmp_path: Path,
) -> None:
    broker, machine = tmp_path / "broker", tmp_path / "machine"
    machine.mkdir()
    copy = machine / "ca.pem"
    copy.write_bytes(Authority(broker).ensure().read_bytes())
    settings = Settings(authority=str(copy))
    with pytest.raises(ConfigError, match="forerun broker certify first-hospital ADDRESS"):
        page_certificate(settings)
    assert copy.read_bytes() == (broker / "ca.pem").read_bytes()
    assert list(machine.iterdir()) == [copy]

    pair = Authority(broker).server_certificate(certificate_name("first-hospital"), ["er.example"])
    carried = Tls(certificate=str(pair.certificate), key=str(pair.key))
    assert page_certificate(msgspec.structs.replace(settings, tls=carried)) == pair


def test_tls_with_half_of_a_pair_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="go together"):
        msgspec.toml.decode('certificate = "board.pem"', type=Tls)


@pytest.mark.parametrize(
    ("host", "addresses", "url"),
    [
        ("127.0.0.1", (), "https://127.0.0.1:8444"),
        ("127.0.0.1", ("board.example",), "https://127.0.0.1:8444"),
        ("::1", (), "https://[::1]:8444"),
        ("0.0.0.0", (), "https://localhost:8444"),
        ("::", ("board.example", "192.0.2.7"), "https://board.example:8444"),
        ("::", ("2001:db8::7",), "https://[2001:db8::7]:8444"),
    ],
)
def test_page_url_is_an_address_that_the_certificate_holds(
    host: str, addresses: tuple[str, ...], url: str
) -> None:
    settings = Settings(listen=Listen(host=host), tls=Tls(addresses=addresses))
    assert page_url(settings, 8444) == url


def test_seat_comes_in_at_its_own_place_only(tmp_path: Path) -> None:
    issued = {
        place: issue(tmp_path, f"{place}-desk", "seat", "north", place=place)
        for place in ("hub", "first-hospital", "second-hospital", "unit-7")
    }
    elsewhere = issue(tmp_path, "south-desk", "seat", "south", place="hub")
    for place in issued:
        verify = admission(Settings(name=place, roster=str(tmp_path)))
        for at, seat in issued.items():
            if at == place:
                assert verify(seat.token).name == f"{place}-desk"
            else:
                with pytest.raises(CredentialError, match=f"no seat at {place}"):
                    verify(seat.token)
        with pytest.raises(CredentialError, match="not of region north"):
            verify(elsewhere.token)


def test_seat_of_an_older_roster_that_has_no_place_is_told_what_to_do(tmp_path: Path) -> None:
    seat = issue(tmp_path, "desk", "seat", "north", place="hub")
    roster = tmp_path / "roster.toml"
    roster.write_text(roster.read_text().replace('place = "hub"\n', ""))
    with pytest.raises(CredentialError, match="issue it again with --at"):
        admission(Settings(name="hub", roster=str(tmp_path)))(seat.token)


def test_state_is_held_alone_and_ready_is_said_while_the_service_serves(tmp_path: Path) -> None:
    settings = Settings(state=str(tmp_path / "state"))
    ready = tmp_path / "state" / "ready.json"
    with own_state(settings, "gateway"):
        with said_ready(settings, 8444):
            told = msgspec.json.decode(ready.read_bytes())
            assert told == {"port": 8444, "url": "https://127.0.0.1:8444", "pid": os.getpid()}
            with (
                pytest.raises(ConfigError, match="another gateway"),
                own_state(settings, "gateway"),
            ):
                pass
            assert ready.exists()
        assert not ready.exists()
        ready.write_text("of one that was killed")
    with own_state(settings, "gateway"):
        assert not ready.exists()
