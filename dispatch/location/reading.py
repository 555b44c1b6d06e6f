"""What one message of one source says about a caller's place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from streams.messages import Position

Via = Literal["aml", "pidf", "held", "network", "browser"]


@dataclass(frozen=True, slots=True)
class Reference:
    """Where the place can be asked for (RFC 6442, RFC 5985); nothing was fetched.

    Attributes:
        uri: ``https:``, ``http:``, ``sip:``, ``sips:`` or ``pres:``.
        expires_ns: When it stops working, as the source says; None where it says nothing.
    """

    uri: str
    expires_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """One message, read. Position and identity are as stated; nothing is guessed.

    Attributes:
        via: The kind of message.
        positions: The source's order, the one it prefers first (RFC 5491, section 3.4).
        addresses: Civic addresses as one line each, in the order of the country.
        references: Places to ask.
        number: The caller's number, ``+`` and digits, where the message gives it.
        imsi: International mobile subscriber identity; phones may blank all but six digits.
        imei: Of the device.
        mcc: Country code of the network it is in.
        mnc: Code of that network.
        home_mcc: Country code of the caller's own network.
        home_mnc: Code of that network.
        emergency_number: What was dialled.
        language: Of the phone, as BCP 47 says it.
        called_ns: When the emergency call began, by the phone's clock.
        entity: Who is located, as the document says: ``sip:``, ``tel:``, ``pres:``.
        warnings: What is odd about the message but does not touch the place.
    """

    via: Via
    positions: tuple[Position, ...] = ()
    addresses: tuple[str, ...] = ()
    references: tuple[Reference, ...] = ()
    number: str | None = None
    imsi: str | None = None
    imei: str | None = None
    mcc: str | None = None
    mnc: str | None = None
    home_mcc: str | None = None
    home_mnc: str | None = None
    emergency_number: str | None = None
    language: str | None = None
    called_ns: int | None = None
    entity: str | None = None
    warnings: tuple[str, ...] = ()
