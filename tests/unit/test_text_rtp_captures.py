"""The real-time text of recorded NG9-1-1 calls decodes to what was typed.

The captures (`ng911_pcap` of the shared recordings; skipped without them) carry no transcript.
That the texts below are right is known from this: the session descriptions in the same capture
announce `m=text` with `t140/1000` at the port and payload type of each packet; each text names the
element that it is of or for, and its addresses are that element's; a text that passes a bridge
comes out of each hop the same, though each has another source, sequence and number of contributing
sources; and all are whole sentences of plain words.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from dispatch.rtt.receiver import TextReceiver
from streams.t140 import MISSING, T140Display
from tests.text_captures import text_call

CALLER, EXCHANGE, BORDER = "192.168.1.5", "192.168.1.50", "192.168.1.10"
BRIDGE, CALL_TAKER = "192.168.1.22", "172.16.0.100"

TO_THE_CALLER = [(CALL_TAKER, BRIDGE), (BRIDGE, BORDER), (BORDER, CALLER)]
FROM_THE_CALLER = [(CALLER, BORDER), (BORDER, BRIDGE), (BRIDGE, CALL_TAKER)]
# The two texts are addressed: "OSP test" is for the caller's network, "CHFE test" for the call
# handling element.
THROUGH_THE_BRIDGE = dict.fromkeys(TO_THE_CALLER, "OSP test") | dict.fromkeys(
    FROM_THE_CALLER, "CHFE test"
)
VALIDATION = "Emergency services t.140 TEXT Validation"
TEXTS: dict[str, tuple[int, dict[tuple[str, str], str]]] = {
    "BRIDGE_003": (6, THROUGH_THE_BRIDGE),
    "BRIDGE_004": (
        10,
        {(EXCHANGE, CALL_TAKER): VALIDATION, (CALL_TAKER, EXCHANGE): VALIDATION},
    ),
    "CHFE_010": (
        11,
        {(EXCHANGE, CALL_TAKER): "HELLO FROM ESRP", (CALL_TAKER, EXCHANGE): "HELLO FROM CHFE"},
    ),
}


def shown_by_hop(file: Path) -> dict[tuple[str, str], str]:
    """What each receiver of text in a capture shows, by the addresses of sender and receiver."""
    call = text_call(file)
    if call is None:
        return {}
    receivers: dict[tuple[str, str], tuple[TextReceiver, T140Display]] = {}
    for packet in call.packets:
        receiver, display = receivers.setdefault(
            (packet.sender, packet.receiver),
            (TextReceiver(text_type=call.text_type, red_type=call.red_type), T140Display()),
        )
        for found in receiver.take(packet.data, 0.0):
            display.take(found.text)
    for receiver, display in receivers.values():
        for found in receiver.wait(2.0):
            display.take(found.text)
    return {hop: "\n".join(display.lines) for hop, (_, display) in receivers.items()}


@pytest.mark.parametrize("group", TEXTS)
def test_text_of_recorded_calls_decodes_to_what_was_typed(shared_data: Path, group: str) -> None:
    count, expected = TEXTS[group]
    files = sorted((shared_data / "ng911_pcap" / group).glob("*.pcap"))
    assert len(files) >= count
    hops = 0
    for file in files:
        found = shown_by_hop(file)
        # In one of them the bridge sends the call taker an empty packet.
        silent = {(BRIDGE, CALL_TAKER)} if "chfe_no_text" in file.name else set()
        wanted = {hop: "" if hop in silent else expected[hop] for hop in found}
        assert found == wanted, file.name
        hops += len(found)
    assert hops >= count * len(expected)


def test_text_of_any_other_recorded_call_has_no_gap_and_no_control_character(
    shared_data: Path,
) -> None:
    files = sorted((shared_data / "ng911_pcap").glob("*/*.pcap"))
    texts = {file: text for file in files for text in shown_by_hop(file).values()}
    assert {file.parent.name for file in texts} >= set(TEXTS)
    for file, text in texts.items():
        assert MISSING not in text, file.name
        assert text.replace("\n", "").isprintable(), file.name
