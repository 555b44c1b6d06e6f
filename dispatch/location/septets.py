"""The 7-bit alphabet of text messages, unpacked (3GPP TS 23.038, sections 6.1.2 and 6.2.1)."""

from __future__ import annotations

from dispatch.location.errors import LocationError

_ESCAPE = 0x1B
ALPHABET = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ"
    " !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED = {
    0x0A: "\f", 0x14: "^", 0x28: "{", 0x29: "}", 0x2F: "\\",
    0x3C: "[", 0x3D: "~", 0x3E: "]", 0x40: "|", 0x65: "€",
}  # fmt: skip
_PORT_HEADER = bytes([6, 5, 4])
"""Length 6, element 5 (application ports, 16 bit) of length 4 (3GPP TS 23.040, 9.2.3.24.4)."""


def unpack(octets: bytes) -> str:
    """Return the text of packed septets, the low bits first.

    A header with application ports in front is left out. Seven spare bits at the end look like
    ``@`` or are filled with a carriage return; neither ends an AML message, so both go.

    Raises:
        LocationError: There is nothing, or a septet that is no character.
    """
    if octets[:3] == _PORT_HEADER:
        octets = octets[7:]
    packed = int.from_bytes(octets, "little")
    text: list[str] = []
    escaped = False
    for place in range(len(octets) * 8 // 7):
        septet = packed >> (7 * place) & 0x7F
        if escaped:
            text.append(_EXTENDED.get(septet, " "))
            escaped = False
        elif septet == _ESCAPE:
            escaped = True
        else:
            text.append(ALPHABET[septet])
    if not text:
        raise LocationError("data", "the message is empty")
    return "".join(text).rstrip("@\r")
