"""Characters as people see them: where one ends and the next begins.

The extended grapheme clusters of UAX #29 (Unicode 17.0, section 3.1), found while the text is
still coming: whether a code point belongs to the cluster before it depends on that cluster alone.
That is what real-time text needs, where a backspace erases one such character and both ends have
to agree which (`streams.t140`, and `static/t140.js` with the same rules).

Differences from UAX #29, each the same in the browser's copy:

* rule GB9c is left out: an Indic conjunct is erased letter by letter, as keyboards do it;
* which code points are pictographs (rule GB11) is a coarse superset by blocks, so that it does not
  move with the Unicode version of either side;
* a cluster takes at most ``LONGEST`` code points, so that nobody sends one without an end.

Combining marks are those that this Python's Unicode data knows; a browser may know newer ones.
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_right
from enum import IntEnum
from functools import lru_cache

LONGEST = 30
"""Code points in one cluster; UAX #15 (section 13) allows 30 marks in text safe for streams."""


class Kind(IntEnum):
    """What of a code point decides whether it joins (the property Grapheme_Cluster_Break)."""

    OTHER = 0
    CONTROL = 1
    MARK = 2
    """Extend and SpacingMark: always joins what is before it."""
    JOINER = 3
    PREFIX = 4
    """Prepend: always takes what comes after it."""
    FLAG_LETTER = 5
    """Regional_Indicator: two make a flag."""
    PICTOGRAPH = 6
    LEADING = 7
    """Hangul jamo L, and below the other parts of a syllable."""
    VOWEL = 8
    TRAILING = 9
    OPEN_SYLLABLE = 10
    CLOSED_SYLLABLE = 11


_RANGES: tuple[tuple[int, int, Kind], ...] = (
    (0x00A9, 0x00A9, Kind.PICTOGRAPH),
    (0x00AE, 0x00AE, Kind.PICTOGRAPH),
    (0x0600, 0x0605, Kind.PREFIX),  # Arabic number signs
    (0x06DD, 0x06DD, Kind.PREFIX),
    (0x070F, 0x070F, Kind.PREFIX),
    (0x0890, 0x0891, Kind.PREFIX),
    (0x08E2, 0x08E2, Kind.PREFIX),
    (0x0D4E, 0x0D4E, Kind.PREFIX),
    (0x0E33, 0x0E33, Kind.MARK),  # Thai AM, a letter that belongs to what is before it
    (0x0EB3, 0x0EB3, Kind.MARK),  # Lao AM
    # Kind.OTHER: spacing marks that stand alone (UAX #29, table 2, exceptions of SpacingMark).
    (0x102B, 0x102C, Kind.OTHER),
    (0x1038, 0x1038, Kind.OTHER),
    (0x1062, 0x1064, Kind.OTHER),
    (0x1067, 0x106D, Kind.OTHER),
    (0x1083, 0x1083, Kind.OTHER),
    (0x1087, 0x108C, Kind.OTHER),
    (0x108F, 0x108F, Kind.OTHER),
    (0x109A, 0x109C, Kind.OTHER),
    (0x1100, 0x115F, Kind.LEADING),
    (0x1160, 0x11A7, Kind.VOWEL),
    (0x11A8, 0x11FF, Kind.TRAILING),
    (0x1A61, 0x1A61, Kind.OTHER),
    (0x1A63, 0x1A64, Kind.OTHER),
    (0x200C, 0x200C, Kind.MARK),  # zero width non-joiner
    (0x200D, 0x200D, Kind.JOINER),
    (0x203C, 0x203C, Kind.PICTOGRAPH),
    (0x2049, 0x2049, Kind.PICTOGRAPH),
    (0x2100, 0x214F, Kind.PICTOGRAPH),
    (0x2190, 0x21FF, Kind.PICTOGRAPH),
    (0x2300, 0x23FF, Kind.PICTOGRAPH),
    (0x24C2, 0x24C2, Kind.PICTOGRAPH),
    (0x25A0, 0x27BF, Kind.PICTOGRAPH),
    (0x2900, 0x297F, Kind.PICTOGRAPH),
    (0x2B00, 0x2BFF, Kind.PICTOGRAPH),
    (0x3030, 0x3030, Kind.PICTOGRAPH),
    (0x303D, 0x303D, Kind.PICTOGRAPH),
    (0x3297, 0x3299, Kind.PICTOGRAPH),
    (0xA960, 0xA97C, Kind.LEADING),
    (0xAA7B, 0xAA7B, Kind.OTHER),
    (0xAA7D, 0xAA7D, Kind.OTHER),
    (0xD7B0, 0xD7C6, Kind.VOWEL),
    (0xD7CB, 0xD7FB, Kind.TRAILING),
    (0xFF9E, 0xFF9F, Kind.MARK),  # half-width voiced marks
    (0x110BD, 0x110BD, Kind.PREFIX),
    (0x110CD, 0x110CD, Kind.PREFIX),
    (0x111C2, 0x111C3, Kind.PREFIX),
    (0x11720, 0x11721, Kind.OTHER),
    (0x1F000, 0x1F1E5, Kind.PICTOGRAPH),
    (0x1F1E6, 0x1F1FF, Kind.FLAG_LETTER),
    (0x1F200, 0x1F3FA, Kind.PICTOGRAPH),
    (0x1F3FB, 0x1F3FF, Kind.MARK),  # skin tones
    (0x1F400, 0x1FAFF, Kind.PICTOGRAPH),
    (0x1FC00, 0x1FFFD, Kind.PICTOGRAPH),
    (0xE0020, 0xE007F, Kind.MARK),  # tags: the flags of Scotland, Wales and England
)
"""What the general category does not say, in order."""

_FIRSTS = [first for first, _, _ in _RANGES]
_FIRST_SYLLABLE, _LAST_SYLLABLE, _TRAILING_FORMS = 0xAC00, 0xD7A3, 28
_CATEGORIES = {
    "Mn": Kind.MARK,
    "Me": Kind.MARK,
    "Mc": Kind.MARK,
    "Cc": Kind.CONTROL,
    "Cf": Kind.CONTROL,
    "Zl": Kind.CONTROL,
    "Zp": Kind.CONTROL,
}
_HANGUL_TAKES = {
    Kind.LEADING: {Kind.LEADING, Kind.VOWEL, Kind.OPEN_SYLLABLE, Kind.CLOSED_SYLLABLE},
    Kind.OPEN_SYLLABLE: {Kind.VOWEL, Kind.TRAILING},
    Kind.VOWEL: {Kind.VOWEL, Kind.TRAILING},
    Kind.CLOSED_SYLLABLE: {Kind.TRAILING},
    Kind.TRAILING: {Kind.TRAILING},
}


@lru_cache(maxsize=8192)
def kind_of(character: str) -> Kind:
    """Return what a code point is to the rules of clusters."""
    point = ord(character)
    if _FIRST_SYLLABLE <= point <= _LAST_SYLLABLE:
        is_open = (point - _FIRST_SYLLABLE) % _TRAILING_FORMS == 0
        return Kind.OPEN_SYLLABLE if is_open else Kind.CLOSED_SYLLABLE
    at = bisect_right(_FIRSTS, point) - 1
    if at >= 0 and point <= _RANGES[at][1]:
        return _RANGES[at][2]
    return _CATEGORIES.get(unicodedata.category(character), Kind.OTHER)


def joins(cluster: str, character: str) -> bool:
    """Whether a code point goes on with the cluster before it (UAX #29, rules GB3 to GB13).

    Args:
        cluster: A whole cluster so far, not empty.
        character: The code point that comes next.
    """
    last, kind = kind_of(cluster[-1]), kind_of(character)
    if Kind.CONTROL in (last, kind) or len(cluster) >= LONGEST:
        return False
    if kind in (Kind.MARK, Kind.JOINER) or last is Kind.PREFIX:
        return True
    if kind is Kind.FLAG_LETTER:
        return last is kind and (len(cluster) == 1 or kind_of(cluster[-2]) is not kind)
    if kind is Kind.PICTOGRAPH:
        return last is Kind.JOINER and _ends_in_pictograph(cluster[:-1])
    return kind in _HANGUL_TAKES.get(last, ())


def _ends_in_pictograph(text: str) -> bool:
    for character in reversed(text):
        kind = kind_of(character)
        if kind is not Kind.MARK:
            return kind is Kind.PICTOGRAPH
    return False


def append(clusters: list[str], character: str) -> bool:
    """Add one code point to a text; return whether it went into the last cluster."""
    if clusters and joins(clusters[-1], character):
        clusters[-1] += character
        return True
    clusters.append(character)
    return False


def split(text: str) -> list[str]:
    """Cut a text into its clusters; joined again they are the text."""
    clusters: list[str] = []
    for character in text:
        append(clusters, character)
    return clusters
