"""Texts and edits for the tests of real-time text: what people write, and what is hard about it."""

from __future__ import annotations

from hypothesis import strategies as st

CHARACTERS = [
    *"abE19.,!? ",
    *"救命着火了，。！？々〇",
    "e\u0301",
    "\u00e9",
    "o\u0308\u0323",
    "\U00020bb7",  # outside the basic plane: a surrogate pair in browsers
    "\U0001f600",
    "\U0001f44d\U0001f3fd",  # skin tone
    "\U0001f468\u200d\U0001f469\u200d\U0001f467",  # a family
    "\U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",  # Scotland
    "\u2764\ufe0f\u200d\U0001f525",
    "#\ufe0f\u20e3",
    "\U0001f1e8\U0001f1f3",
    "\U0001f1e9\U0001f1ea",
    "\uac01",
    "\u1100\u1161\u11a8",  # the same in jamo
    "\u0e01\u0e47",
    "\u0e2a\u0e33",
    "\u0915\u093f",
    "\u05e9\u05c1\u05b8",  # right to left, with points
    "\u0645\u0651",
    "\u0600\u0661",
    "\uff76\uff9e",
]
"""Characters as people see them, each one cluster of UAX #29."""

LOOSE = ["\u0301", "\u200d", "\ufe0f", "\U0001f1e6", "\U0001f467", "\u11a8", "\u200f", "\u0600"]
"""Code points that change what is before or after them, alone."""

LINES = ["\n", "\r\n", "\u2028"]

CONTROLS = [
    "\b", "\b\b\b", "\a", "\ufeff", "\ufffd", "\r", "\n", "\x00", "\x7f", "\t", "\u0085",
    "\x1b[31m", "\x9b1;4m", "\x1b(B", "\x1ba", "\x98app\x9c", "\x1bXapp\x1b\\", "\x1b", "\x9b",
    "\x98", "\x18",
]  # fmt: skip
"""What T.140 has beside text, whole and cut off."""

typed = st.lists(st.sampled_from([*CHARACTERS, *LOOSE, *LINES]), max_size=30).map("".join)
"""What a person may have in a field."""

received = st.lists(
    st.sampled_from([*CHARACTERS, *LOOSE, *LINES, *CONTROLS]) | st.text(max_size=4), max_size=30
).map("".join)
"""What may come from anybody."""


@st.composite
def fields(draw: st.DrawFn) -> list[str]:
    """Draw the states of a field while somebody types, pastes, corrects in the middle and erases.

    Cuts fall anywhere, also within characters: keyboards erase letter by letter where a person
    sees one character.
    """
    states = [""]
    for _ in range(draw(st.integers(1, 12))):
        field = states[-1]
        begin = draw(st.integers(0, len(field)))
        end = draw(st.integers(begin, min(len(field), begin + 6)))
        if draw(st.booleans()):
            begin = end = len(field)
        states.append(field[:begin] + draw(typed) + field[end:])
    return states[1:]
