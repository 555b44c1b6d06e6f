"""Bodies of what is said between a caller and the dispatcher in writing, or put into writing."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from streams.messages import Body, Count, Identifier, ShortText, Text, Time

Speaker = Literal["caller", "dispatcher"]

Way = Literal["page", "t140", "rtp", "sms", "app", "speech", "canned", "guide"]
"""How it came about: typed on the caller's page or at a desk (``page``), by real-time text (a data
channel, or RTP of an exchange), as a whole message, spoken, or chosen from a list."""

Need = Literal["deaf", "cannot_speak", "hard_of_hearing", "foreign_language"]
"""Why a caller writes."""

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class TextTurn(Body, frozen=True, kw_only=True):
    """What one of the two said, as it stands now; a later one of the same turn replaces it.

    Attributes:
        turn: Its name, a ULID; the same for every later state of it.
        who: Who says it.
        way: How it came about.
        text: As it was shown; U+FFFD where text was lost on its way.
        finished: Whether its maker ended it; else it is what stood there when a pause began.
        begun_ns: When its first character or sound was, by the hub's clock.
        ended_ns: When its last one was.
        language: As BCP 47 says it; empty where nobody knows.
        seat: Of the dispatcher's: which seat.
        heard: Of ``speech``: what the recognition had heard, before a person corrected it.
        confidence: Of ``speech``: how sure the recognition was.
        latency_ms: From its end to where the other one could read or hear it.
        message: Of ``sms`` and ``app``: the gateway's own name of it.
        session: Of a caller who types: the page or telephone.
        upto: So many characters of that session's text are in this state and those before it: a
            page that comes back goes on behind them.
    """

    turn: Identifier
    who: Speaker
    way: Way
    text: Text
    finished: bool = True
    begun_ns: Time
    ended_ns: Time
    language: ShortText = ""
    seat: ShortText = ""
    heard: Text | None = None
    confidence: Share | None = None
    latency_ms: Count | None = None
    message: ShortText = ""
    session: ShortText = ""
    upto: Count = 0


class TextChannel(Body, frozen=True, kw_only=True):
    """A caller's page or telephone can write now, or no longer.

    Attributes:
        session: The page's or the telephone's name for itself.
        state: ``opened``; ``lost``: it went away without a word; ``closed``: it said that it goes.
        way: By which way.
        language: That the caller reads.
    """

    session: ShortText
    state: Literal["opened", "lost", "closed"]
    way: Way
    language: ShortText = ""


class TextSpoken(Body, frozen=True, kw_only=True):
    """A sentence that a caller wrote was spoken to a seat.

    Attributes:
        turn: The turn in which it ends.
        text: The sentence.
        seat: Who heard it.
        written_ns: When it was complete, by the hub's clock.
        begun_ns: When its sound began at the seat.
        corrects: Whether it said anew what was said before and then changed.
    """

    turn: Identifier
    text: Text
    seat: ShortText
    written_ns: Time
    begun_ns: Time
    corrects: bool = False


class CallerProfile(Body, frozen=True, kw_only=True):
    """How one has to talk with the caller, as the caller says or a seat noted.

    Attributes:
        needs: What the caller cannot do; empty takes back what was said before.
        language: That the caller speaks or reads.
        seat: Who noted it; empty where the caller did.
    """

    needs: tuple[Need, ...]
    language: ShortText = ""
    seat: ShortText = ""
