"""The local authority: what browsers and clients accept, once and for several processes."""

from __future__ import annotations

import asyncio
import datetime
import ssl
import stat
import subprocess
import sys
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509

from streams.authority import (
    AUTHORITY_RENEWAL,
    AUTHORITY_VALIDITY,
    SERVER_RENEWAL,
    SERVER_VALIDITY,
    Authority,
    Pair,
    client_context,
    server_context,
)
from streams.errors import ConfigError

NOW = datetime.datetime(2026, 6, 1, tzinfo=datetime.UTC)


def read(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def authority_in(directory: Path) -> Authority:
    """Return an authority that is there."""
    authority = Authority(directory)
    authority.ensure()
    return authority


async def handshake(pair: Pair, ca_path: Path, name: str) -> set[str]:
    """Connect with TLS to a server here under ``name``; return its certificate's names."""
    server = await asyncio.start_server(
        lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=server_context(pair)
    )
    async with server:
        port = server.sockets[0].getsockname()[1]
        context = client_context(ca_path)
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        _, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=context, server_hostname=name
        )
        shown = writer.get_extra_info("peercert")["subjectAltName"]
        writer.close()
        await writer.wait_closed()
    return {str(ip_address(name)) if kind == "IP Address" else name for kind, name in shown}


def test_ensure_twice_keeps_the_same_authority(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "authority")
    before = authority.ensure().read_bytes()

    assert authority.ensure().read_bytes() == before
    assert Authority(tmp_path / "authority").ensure().read_bytes() == before


def test_private_keys_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    authority = authority_in(tmp_path / "authority")
    pair = authority.server_certificate("broker", [])

    assert mode(pair.key) == 0o600
    assert mode(tmp_path / "authority" / "ca.key") == 0o600
    assert mode(tmp_path / "authority") == 0o700


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1", "hub.example", "192.0.2.7"])
async def test_server_certificate_is_accepted_under_each_of_its_names(
    tmp_path: Path, name: str
) -> None:
    authority = authority_in(tmp_path)
    pair = authority.server_certificate("hub", ["hub.example", "192.0.2.7"])

    assert name in await handshake(pair, authority.ca_path, name)


async def test_server_certificate_is_refused_under_another_name(tmp_path: Path) -> None:
    authority = authority_in(tmp_path)
    pair = authority.server_certificate("hub", ["hub.example"])

    with pytest.raises(ssl.SSLCertVerificationError):
        await handshake(pair, authority.ca_path, "other.example")


async def test_server_certificate_of_another_authority_is_refused(tmp_path: Path) -> None:
    pair = authority_in(tmp_path / "one").server_certificate("hub", [])
    other = Authority(tmp_path / "two").ensure()

    with pytest.raises(ssl.SSLCertVerificationError):
        await handshake(pair, other, "localhost")


def test_server_certificate_lives_no_longer_than_browsers_accept(tmp_path: Path) -> None:
    certificate = read(authority_in(tmp_path).server_certificate("hub", []).certificate)

    life = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    assert life <= datetime.timedelta(days=398)


def test_server_certificate_is_kept_until_it_is_due_and_then_renewed(tmp_path: Path) -> None:
    authority = authority_in(tmp_path)
    first = read(authority.server_certificate("hub", [], NOW).certificate)
    due = NOW + SERVER_VALIDITY - SERVER_RENEWAL

    early = read(
        authority.server_certificate("hub", [], due - datetime.timedelta(days=1)).certificate
    )
    late = read(authority.server_certificate("hub", [], due).certificate)

    assert early == first
    assert late.not_valid_after_utc > first.not_valid_after_utc


def test_server_certificate_is_made_anew_for_a_new_name_only(tmp_path: Path) -> None:
    authority = authority_in(tmp_path)
    wide = read(authority.server_certificate("hub", ["a.example", "b.example"]).certificate)

    assert read(authority.server_certificate("hub", ["a.example"]).certificate) == wide
    assert read(authority.server_certificate("hub", ["c.example"]).certificate) != wide


async def test_renewed_authority_still_vouches_for_older_certificates(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    present = datetime.datetime.now(datetime.UTC)
    begin = present - AUTHORITY_VALIDITY + AUTHORITY_RENEWAL
    old = authority.ensure(begin - datetime.timedelta(days=1)).read_bytes()
    pair = authority.server_certificate("hub", [], present - datetime.timedelta(days=2))
    before = pair.certificate.read_bytes()

    renewed = authority.ensure(present)

    assert renewed.read_bytes() != old
    assert pair.certificate.read_bytes() == before
    await handshake(pair, renewed, "localhost")
    (tmp_path / "old.pem").write_bytes(old)
    await handshake(pair, tmp_path / "old.pem", "localhost")


def test_damaged_server_certificate_is_made_again(tmp_path: Path) -> None:
    authority = authority_in(tmp_path)
    pair = authority.server_certificate("hub", [])
    pair.certificate.write_bytes(b"half a file")

    again = authority.server_certificate("hub", [])
    assert again.certificate.read_bytes().startswith(b"-----BEGIN CERTIFICATE-----")
    server_context(again)


def test_damaged_authority_key_stops_with_its_name(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    authority.ensure()
    (tmp_path / "ca.key").write_bytes(b"not a key")

    with pytest.raises(ConfigError, match=r"ca\.key"):
        authority.ensure()


def test_address_that_is_none_stops_with_its_text(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="zürich"):
        authority_in(tmp_path).server_certificate("hub", ["zürich.example"])


def test_processes_that_start_at_once_agree_on_one_authority(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from streams.authority import Authority;"
        "one = Authority(Path(sys.argv[1])); one.ensure();"
        "one.server_certificate('hub', ['hub.example'])"
    )
    children = [subprocess.Popen([sys.executable, "-c", program, str(tmp_path)]) for _ in range(4)]
    assert [child.wait(timeout=60) for child in children] == [0, 0, 0, 0]

    authority = Authority(tmp_path)
    pair = Pair(tmp_path / "hub.pem", tmp_path / "hub.key")
    asyncio.run(handshake(pair, authority.ca_path, "hub.example"))
    assert not [path for path in tmp_path.iterdir() if path.name.startswith((".ca", ".hub"))]


def test_client_context_without_its_file_stops_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="missing"):
        client_context(tmp_path / "missing.pem")


def test_certificate_of_an_authority_whose_key_is_elsewhere_is_left_alone(tmp_path: Path) -> None:
    """A vehicle's or hospital's machine: it has ``ca.pem`` to trust, and nothing else."""
    (tmp_path / "machine").mkdir()
    copy = Authority(tmp_path / "machine")
    copy.ca_path.write_bytes(Authority(tmp_path / "broker").ensure().read_bytes())
    before = copy.ca_path.read_bytes()

    assert not copy.can_issue
    with pytest.raises(ConfigError, match="key is not here"):
        copy.server_certificate("page-unit-7", [])
    with pytest.raises(ConfigError, match="without its key"):
        copy.ensure()
    assert copy.ca_path.read_bytes() == before
    assert [path.name for path in copy.ca_path.parent.iterdir() if path.suffix] == ["ca.pem"]


def test_authority_s_certificate_of_another_key_is_not_replaced(tmp_path: Path) -> None:
    authority = authority_in(tmp_path / "one")
    other = authority_in(tmp_path / "two").ca_path.read_bytes()
    authority.ca_path.write_bytes(other)

    with pytest.raises(ConfigError, match="without its key"):
        authority.ensure()
    with pytest.raises(ConfigError, match="without its key"):
        authority.server_certificate("hub", [])
    assert authority.ca_path.read_bytes() == other


def test_authority_that_was_never_made_issues_nothing_and_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="key is not here"):
        Authority(tmp_path).server_certificate("hub", [])
    assert not list(tmp_path.iterdir())
