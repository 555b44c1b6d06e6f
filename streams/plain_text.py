"""What strangers write, as it may stand on other people's screens. Pure.

A caller's text is read by dispatcher, crew and hospital. Control characters could cut or hide part
of it in one program and not in another, and bidirectional embeddings, overrides and isolates
(Unicode UAX #9, sections 2.1 to 2.5) show it in another order than it was written: "take 05" for
"take 50". The marks that Arabic and Hebrew need beside numbers (U+200E, U+200F, U+061C) have no
such power and stay, as do the joiners of emoji and of Indian and Persian script.
"""

from __future__ import annotations

import re

_NEW_LINES = re.compile("\r\n|[\r\x85\u2028\u2029]")
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0, DEL and C1
    "\u202a-\u202e\u2066-\u2069"  # embeddings, overrides, isolates and their ends
    "\ufeff]"
)


def plain(text: str) -> str:
    """Return a text without what is not seen and yet acts; its lines are divided by line feeds.

    It changes nothing in what it returned: ``plain(plain(text)) == plain(text)``.
    """
    return _UNSEEN.sub("", _NEW_LINES.sub("\n", text)).replace("\t", " ")
