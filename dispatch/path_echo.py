"""Answers the vehicles' probes of their path: the head of each, with the time at which it came.

What a probe holds is the vehicle's business (``onboard.path_probe``); nothing is kept here. A
vehicle that asks too often, or with something else, gets no answer.
"""

from __future__ import annotations

import struct
import time

from dispatch.relay import Relay

PATH_CHANNEL = "path"
"""Label of the data channel on which probes come."""

HEAD_BYTES = 16
"""What is sent back of a probe; the i64 time of its arrival follows, ns of a monotonic clock."""

_TIME = struct.Struct("<q")


class PathEcho:
    """Takes a relay's messages on the path channel and sends their heads back.

    Attributes:
        echoed: Probes answered.
        unanswered: Probes that were too short, or whose channel was full.
    """

    def __init__(self, relay: Relay) -> None:
        """Answer the probes that come to this relay, from now on."""
        self.echoed = self.unanswered = 0
        self._relay = relay
        relay.take_messages(PATH_CHANNEL, self._take)

    def _take(self, resource: str, label: str, message: bytes) -> None:
        head = message[:HEAD_BYTES] + _TIME.pack(time.monotonic_ns())
        if len(message) >= HEAD_BYTES and self._relay.send(resource, label, head):
            self.echoed += 1
        else:
            self.unanswered += 1
