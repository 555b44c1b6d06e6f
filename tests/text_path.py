"""A path that loses, repeats and reorders packets of real-time text, in simulated time."""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass

from dispatch.rtt.receiver import TextReceiver
from dispatch.rtt.sender import Stream, TextSender
from streams.t140 import BYTE_ORDER_MARK

TEXT, RED = 98, 99


@dataclass(frozen=True)
class Weather:
    """What happens to packets on their way; shares of 1.

    Attributes:
        lost: Never arrive.
        repeated: Arrive twice, the second time up to a second later.
        reordered: Are overtaken.
        longest_s: By how much at most.
    """

    lost: float = 0.2
    repeated: float = 0.2
    reordered: float = 0.2
    longest_s: float = 0.9


@dataclass(frozen=True)
class Passage:
    """How one run went.

    Attributes:
        text: What came out; U+FFFD for each gap.
        start_is_proven: Whether the receiver knows that nothing was sent before what it has.
    """

    text: str
    start_is_proven: bool


def type_through(
    text: str,
    weather: Weather,
    seed: int,
    *,
    generations: int = 2,
    red_type: int | None = RED,
    wait_s: float = 1.0,
) -> Passage:
    """Type a text, with pauses, through the weather; the end is known by a packet that arrives.

    Without redundancy no packets follow the text, so the last one is taken to arrive there.
    """
    chance = random.Random(seed)
    stream = Stream(chance.getrandbits(32), chance.getrandbits(16), chance.getrandbits(32))
    sender = TextSender(stream, text_type=TEXT, red_type=red_type, generations=generations)
    receiver = TextReceiver(text_type=TEXT, red_type=red_type, wait_s=wait_s)
    arriving: list[tuple[float, int, bytes]] = []
    now, sent = chance.uniform(0, 1e6), 0

    def pass_on(packet: bytes, *, surely: bool = False) -> None:
        nonlocal sent
        sent += 1
        delay = 0.02
        if chance.random() < weather.reordered:
            delay += chance.uniform(0.3, weather.longest_s)
        if surely or chance.random() >= weather.lost:
            heapq.heappush(arriving, (now + delay, sent, packet))
            if chance.random() < weather.repeated:
                heapq.heappush(arriving, (now + delay + chance.random(), sent, packet))

    def send_until(moment: float) -> None:
        nonlocal now
        while (due := sender.due(now)) is not None and max(now, due) <= moment:
            now = max(now, due)
            if packet := sender.take(now):
                pass_on(packet)
        now = moment

    for character in text:
        sender.write(character)
        send_until(now + chance.choice([0.0, 0.05, 0.1, 0.2, 0.2, 0.4, 0.4, 3.0]))
    while not sender.is_idle and (due := sender.due(now)) is not None:
        last = due
        send_until(due)
    if red_type is not None:
        last = sender.due(now) or now
        now = max(now, last)
        pass_on(sender.take(now) or b"", surely=True)
    return _receive(receiver, arriving)


def _receive(receiver: TextReceiver, arriving: list[tuple[float, int, bytes]]) -> Passage:
    out = ""
    while arriving:
        at, _, packet = heapq.heappop(arriving)
        while (due := receiver.due()) is not None and due < at:
            out += "".join(found.text for found in receiver.wait(due))
        out += "".join(found.text for found in receiver.take(packet, at))
    while (due := receiver.due()) is not None:
        out += "".join(found.text for found in receiver.wait(due))
    out += "".join(found.text for found in receiver.finish())
    return Passage(out.replace(BYTE_ORDER_MARK, ""), receiver.counts.unproven_starts == 0)
