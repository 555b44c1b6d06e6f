"""The one place where the relay reaches into aiortc: packets below its media stack.

aiortc 1.16.0 has no public way to get at RTP packets, and its receivers start a decoder thread
per track. Three attributes of *instances* are replaced, nothing global:

* ``RTCRtpReceiver.receive`` and ``RTCRtpSender.send``, which aiortc calls when the DTLS
  handshake is complete: they do nothing, so there is no decoder thread, no encoder, no RTCP
  task;
* ``aioice.Connection.data_received``, which gets each datagram: SRTP is unprotected and handed
  on in the same call, without aiortc's queue, task switch and packet objects. STUN was taken
  out before, DTLS (and with it the data channels) goes on as before.

``tests/integration/test_relay.py`` fails loudly when these internals change; the version is
pinned in ``pyproject.toml``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pylibsrtp
from aiortc import RTCPeerConnection

AIORTC_VERSION = "1.16.0"
"""The version whose internals are used here."""

_FIRST_RTP, _LAST_RTP = 128, 191  # RFC 7983, section 7
_FIRST_RTCP, _LAST_RTCP = 192, 223  # RFC 5761, section 4
_RTP_COMPONENT = 1


class PacketTap:
    """The packets of one peer connection.

    Attributes:
        connected: Whether the DTLS handshake is complete and media may flow.
        bytes_in: SRTP and SRTCP bytes received.
        bytes_out: SRTP and SRTCP bytes sent.
        refused: Packets that did not unprotect (forged, repeated, too old).
    """

    def __init__(
        self,
        peer: RTCPeerConnection,
        *,
        on_rtp: Callable[[bytes], None],
        on_rtcp: Callable[[bytes], None],
        on_connected: Callable[[], None],
        send_buffer_bytes: int = 256 * 1024,
    ) -> None:
        """Tap ``peer``; call it after its remote description and before its local one.

        Args:
            peer: A bundled peer connection with at least one audio or video section.
            on_rtp: Gets each RTP packet, unprotected.
            on_rtcp: Gets each compound RTCP packet, unprotected.
            on_connected: Called once when media may flow.
            send_buffer_bytes: What may wait in the socket's user-space buffer; beyond it
                packets are dropped (``send_rtp`` returns False).
        """
        self._on_rtp = on_rtp
        self._on_rtcp = on_rtcp
        self._on_connected = on_connected
        self._send_buffer_bytes = send_buffer_bytes
        self.connected = False
        self.bytes_in = self.bytes_out = self.refused = 0
        transceivers = peer.getTransceivers()
        for transceiver in transceivers:
            _replace(transceiver.receiver, "receive", self._media_may_flow)
            _replace(transceiver.sender, "send", self._media_may_flow)
        self._dtls: Any = transceivers[0].receiver.transport
        self._ice: Any = self._dtls.transport._connection
        self._to_dtls: Callable[[bytes, int], None] = self._ice.data_received
        _replace(self._ice, "data_received", self._datagram_received)
        self._pair: Any = None
        self._sendto: Callable[[bytes, tuple[str, int]], None]
        self._waiting_bytes: Callable[[], int]

    async def _media_may_flow(self, _parameters: object) -> None:
        if not self.connected:
            self.connected = True
            self._on_connected()

    def _datagram_received(self, data: bytes, component: int) -> None:
        if not data or not _FIRST_RTP <= data[0] <= _LAST_RTP:
            self._to_dtls(data, component)
            return
        srtp = self._dtls._rx_srtp
        if srtp is None or len(data) < 2:
            self.refused += 1
            return
        try:
            if _FIRST_RTCP <= data[1] <= _LAST_RTCP:
                plain, take = srtp.unprotect_rtcp(data), self._on_rtcp
            else:
                plain, take = srtp.unprotect(data), self._on_rtp
        except (pylibsrtp.Error, ValueError):
            self.refused += 1
            return
        self.bytes_in += len(data)
        take(plain)

    def send_rtp(self, packet: bytes) -> bool:
        """Protect and send one RTP packet; False when it was dropped. Never waits."""
        return self._send(packet, rtcp=False)

    def send_rtcp(self, packet: bytes) -> bool:
        """Protect and send one compound RTCP packet; False when it was dropped. Never waits."""
        return self._send(packet, rtcp=True)

    def _send(self, packet: bytes, *, rtcp: bool) -> bool:
        pair = self._ice._nominated.get(_RTP_COMPONENT)
        srtp = self._dtls._tx_srtp
        if pair is None or srtp is None:
            return False
        if pair is not self._pair:
            self._use(pair)
        if self._waiting_bytes() > self._send_buffer_bytes:
            return False
        try:
            data = srtp.protect_rtcp(packet) if rtcp else srtp.protect(packet)
        except (pylibsrtp.Error, ValueError):
            return False
        self._sendto(data, pair.remote_addr)
        self.bytes_out += len(data)
        return True

    def _use(self, pair: Any) -> None:
        transport = pair.protocol.transport
        self._pair = pair
        self._sendto = transport.sendto
        # A path through TURN has no buffer of its own to ask.
        self._waiting_bytes = getattr(transport, "get_write_buffer_size", lambda: 0)


def _replace(instance: object, name: str, value: Callable[..., Any]) -> None:
    if not callable(getattr(instance, name, None)):
        raise TypeError(f"aiortc changed: {type(instance).__name__} has no method {name}")
    setattr(instance, name, value)
