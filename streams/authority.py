"""The local certificate authority: made on first start, so that TLS is on every hop from then on.

An operator with certificates of his own names them in the configuration instead. The
authority's certificate (``ca.pem``) is what a vehicle, a gateway or a browser has to trust, and
all that leaves the broker's machine of it: only the broker makes the authority, and where its key
is not, nothing is issued.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from streams.errors import ConfigError
from streams.private_files import locked, make_private_directory, write_private

_DAY = datetime.timedelta(days=1)

AUTHORITY_VALIDITY = 3650 * _DAY
AUTHORITY_RENEWAL = 800 * _DAY
"""The authority is renewed, with the same key, this long before it ends: longer than any of
its certificates lives, so old and new trust overlap."""

SERVER_VALIDITY = 397 * _DAY
"""Longest that browsers accept (CA/Browser Forum Baseline Requirements, section 6.3.2, before
the shorter terms of public authorities; Apple takes 825 days from private ones)."""

SERVER_RENEWAL = 60 * _DAY
"""A server certificate is made anew this long before it ends."""

_SKEW = datetime.timedelta(hours=1)
"""A vehicle's clock may be behind: certificates begin a little in the past."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its private key, both PEM files.

    Attributes:
        certificate: Path of the certificate.
        key: Path of the key, readable by its owner only.
    """

    certificate: Path
    key: Path


class Authority:
    """A certificate authority (ECDSA P-256) in a directory; safe for several processes."""

    def __init__(self, directory: Path) -> None:
        """Name the directory; nothing is made before ``ensure``."""
        self._directory = directory
        self._own = Pair(directory / "ca.pem", directory / "ca.key")

    @property
    def ca_path(self) -> Path:
        """The authority's own certificate, for those who must trust it."""
        return self._own.certificate

    @property
    def can_issue(self) -> bool:
        """Whether this process can read the authority's key: on the broker's machine."""
        return os.access(self._own.key, os.R_OK)

    def ensure(self, now: datetime.datetime | None = None) -> Path:
        """Make or renew the authority if needed; return the path of its certificate.

        For the broker and its command alone: others trust what is made here.

        Args:
            now: Time, UTC; the present when absent.

        Raises:
            ConfigError: What is there cannot be read, or is a certificate without its key: a
                new one would take the place of what all others trust.
            StorageError: The directory cannot be written.
        """
        make_private_directory(self._directory)
        with locked(self._directory):
            key, certificate = self._read()
            if key is None:
                key = _new_key(self._own.key)
            moment = now or _present()
            if certificate is None or certificate.not_valid_after_utc - moment < AUTHORITY_RENEWAL:
                write_private(self._own.certificate, _pem(_self_signed(key, moment)), 0o644)
        return self.ca_path

    def server_certificate(
        self, name: str, addresses: Sequence[str], now: datetime.datetime | None = None
    ) -> Pair:
        """Return a certificate for a server, made or renewed if needed.

        Args:
            name: Of its files, such as ``broker``.
            addresses: Host names and IP addresses (with or without IPv6 brackets) under which
                it is reached; 127.0.0.1, ::1 and localhost are always added.
            now: Time, UTC; the present when absent.

        Raises:
            ConfigError: The authority is not here or cannot be read, or an address is not one.
            StorageError: The directory cannot be written.
        """
        moment = now or _present()
        names = _alternative_names(("localhost", "127.0.0.1", "::1", *addresses))
        pair = Pair(self._directory / f"{name}.pem", self._directory / f"{name}.key")
        if not self.can_issue:
            raise ConfigError(
                f"{self._own.key}: the authority's key is not here; the broker has it"
            )
        with locked(self._directory):
            key, certificate = self._read()
            if key is None or certificate is None:
                raise ConfigError(f"{self.ca_path}: there is no authority; the broker makes it")
            if not _still_good(pair, certificate, names, moment):
                _issue(pair, names, certificate, key, moment)
        return pair

    def _read(self) -> tuple[ec.EllipticCurvePrivateKey | None, x509.Certificate | None]:
        key, certificate = _read_key(self._own.key), _read_certificate(self._own.certificate)
        if certificate is not None and (
            key is None or certificate.public_key() != key.public_key()
        ):
            raise ConfigError(
                f"{self.ca_path} is here without its key {self._own.key.name}: put the key back; "
                "or move both away, and give the new authority to all who trust the old one"
            )
        return key, certificate


def server_context(pair: Pair) -> ssl.SSLContext:
    """Return a TLS 1.2+ context for a server.

    Raises:
        ConfigError: The files are not there or do not belong together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(pair.certificate, pair.key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"certificate {pair.certificate}: {error}") from error
    return context


def client_context(ca_path: Path | None) -> ssl.SSLContext:
    """Return a TLS 1.2+ context that trusts ``ca_path`` alone, or the system when it is None.

    Raises:
        ConfigError: The file is not there or no certificate.
    """
    try:
        context = ssl.create_default_context(cafile=None if ca_path is None else str(ca_path))
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"certificate authority {ca_path}: {error}; the broker makes it at its first start"
        ) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _present() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def _alternative_names(addresses: Sequence[str]) -> list[x509.GeneralName]:
    names: list[x509.GeneralName] = []
    for address in dict.fromkeys(addresses):
        try:
            name: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(address.strip("[]")))
        except ValueError:
            try:
                name = x509.DNSName(address)
            except ValueError as error:
                raise ConfigError(f"{address!r} is neither a host name nor an address") from error
        names.append(name)
    return names


def _still_good(
    pair: Pair,
    authority: x509.Certificate,
    names: list[x509.GeneralName],
    now: datetime.datetime,
) -> bool:
    try:
        certificate, key = _read_certificate(pair.certificate), _read_key(pair.key)
    except ConfigError:
        return False  # a server's own certificate can be made again, unlike the authority
    if certificate is None or key is None or certificate.public_key() != key.public_key():
        return False
    if certificate.not_valid_after_utc - now < SERVER_RENEWAL:
        return False
    try:
        certificate.verify_directly_issued_by(authority)
    except Exception:  # the library raises three unrelated kinds here
        return False
    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return all(name in list(found) for name in names)


def _issue(
    pair: Pair,
    names: list[x509.GeneralName],
    authority: x509.Certificate,
    authority_key: ec.EllipticCurvePrivateKey,
    now: datetime.datetime,
) -> None:
    key = _new_key(pair.key)
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    certificate = (
        _builder(f"Forerun {pair.key.stem}", authority.subject, key, now, SERVER_VALIDITY)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(authority=False), critical=True)
        .add_extension(usage, critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()),
            critical=False,
        )
        .sign(authority_key, hashes.SHA256())
    )
    write_private(pair.certificate, _pem(certificate), 0o644)


def _self_signed(key: ec.EllipticCurvePrivateKey, now: datetime.datetime) -> x509.Certificate:
    # The same name and key identifier at each renewal, so what was issued before stays valid.
    name = "Forerun local authority"
    return (
        _builder(name, _subject(name), key, now, AUTHORITY_VALIDITY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(authority=True), critical=True)
        .sign(key, hashes.SHA256())
    )


def _builder(
    name: str,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    now: datetime.datetime,
    validity: datetime.timedelta,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(_subject(name))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now - _SKEW + validity)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _new_key(path: Path) -> ec.EllipticCurvePrivateKey:
    key = ec.generate_private_key(ec.SECP256R1())
    write_private(
        path,
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )
    return key


def _read_key(path: Path) -> ec.EllipticCurvePrivateKey | None:
    if not path.exists():
        return None
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: no private key: {error}") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ConfigError(f"{path}: not an ECDSA key")
    return key


def _read_certificate(path: Path) -> x509.Certificate | None:
    if not path.exists():
        return None
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: no certificate: {error}") from error


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
