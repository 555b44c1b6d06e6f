"""Numbers as people say them, in English and in Mandarin: found, and told in digits.

Pure. A number keeps the order in which it was said: ``one twenty`` is ``1 20`` and not a guess at
120, because what is shown for confirmation must be what was heard.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_ONES = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen",
    "eighteen", "nineteen",
)  # fmt: skip
_TENS = (
    "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety",
)  # fmt: skip
_ORDINALS = (
    "zeroth", "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth",
    "ninth", "tenth", "eleventh", "twelfth", "thirteenth", "fourteenth", "fifteenth",
    "sixteenth", "seventeenth", "eighteenth", "nineteenth",
)  # fmt: skip
_TENTHS = [word[:-1] + "ieth" for word in _TENS]

SMALL: dict[str, int] = {
    **{word: value for value, word in enumerate(_ONES)},
    **{word: 10 * value for value, word in enumerate(_TENS, 2)},
    "oh": 0,
    "fourty": 40,
}
ORDINAL: dict[str, int] = {
    **{word: value for value, word in enumerate(_ORDINALS)},
    **{word: 10 * value for value, word in enumerate(_TENTHS, 2)},
}
_SCALES = {"hundred": 100, "thousand": 1000, "million": 1_000_000}

_WORD = "|".join(sorted([*SMALL, *_SCALES], key=len, reverse=True))
_ORDER = "|".join(sorted(ORDINAL, key=len, reverse=True))
ENGLISH = (
    r"(?<!\w)(?:\d+(?:,\d{3})+|\d+)(?:\.\d+)?(?:st|nd|rd|th)?(?!\w)"
    rf"|(?:a\s+(?=hundred|thousand))?\b(?:(?:{_WORD})(?:[\s-]+(?:and\s+)?(?=(?:{_WORD}|{_ORDER}"
    rf"|point)\b))?)+(?:point(?:\s+(?:{_WORD}))+)?(?:{_ORDER})?\b(?:\s+and\s+a\s+half)?"
)
"""One number in English: digits, or number words in a row."""

HANZI_DIGITS = {sign: value for value, sign in enumerate("零一二三四五六七八九")} | {
    "〇": 0, "○": 0, "两": 2, "幺": 1,
}  # fmt: skip
HANZI_UNITS = {"十": 10, "百": 100, "千": 1000, "万": 10_000, "亿": 100_000_000}
_HANZI = "".join([*HANZI_DIGITS, *HANZI_UNITS])
MANDARIN = rf"\d+(?:\.\d+)?[万亿]?|[{_HANZI}]+(?:点[零〇一二三四五六七八九]+)?"
"""One number in Mandarin: digits, or characters in a row."""


@dataclass(frozen=True, slots=True)
class _Group:
    value: int
    open_below: int
    """What may still be added: less than this."""


def english_value(said: str) -> str:
    """Return a number that was said in English, in digits.

    >>> english_value("one hundred and twenty"), english_value("one twenty")
    ('120', '1 20')
    """
    text = said.lower().replace(",", "").strip()
    half = bool(re.search(r"\s+and\s+a\s+half$", text))
    text = re.sub(r"\s+and\s+a\s+half$", "", text)
    if re.match(r"\d", text):
        return text + (".5" if half else "")
    words = [word for word in re.split(r"[\s-]+", text) if word not in {"and", "a", ""}]
    whole, point, after = _split(words, "point")
    ordinal = bool(whole) and whole[-1] in ORDINAL
    groups = _groups(whole)
    digits = " ".join(str(group) for group in groups)
    if point:
        digits = (digits or "0") + "." + "".join(str(SMALL.get(word, "")) for word in after)
    if half:
        digits += ".5"
    return digits + (_ending(groups[-1]) if ordinal and groups else "")


def mandarin_value(said: str) -> str:
    """Return a number that was said in Mandarin, in digits.

    >>> mandarin_value("一百二十"), mandarin_value("一三八"), mandarin_value("两点五")
    ('120', '138', '2.5')
    """
    whole, point, after = said.partition("点")
    digits = _mandarin_whole(whole)
    if point:
        digits += "." + "".join(str(HANZI_DIGITS.get(sign, sign)) for sign in after)
    return digits


def _mandarin_whole(text: str) -> str:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([万亿])", text)
    if found:
        return f"{float(found[1]) * HANZI_UNITS[found[2]]:.0f}"
    if re.match(r"\d", text):
        return text
    if not any(sign in HANZI_UNITS for sign in text):
        return "".join(str(HANZI_DIGITS[sign]) for sign in text)
    total = section = digit = 0
    unit = 1
    for sign in text:
        if sign in HANZI_DIGITS:
            digit = HANZI_DIGITS[sign]
            unit = 1 if digit == 0 else unit
            continue
        unit = HANZI_UNITS[sign]
        if unit >= 10_000:
            total, section = total + (section + digit) * unit, 0
        else:
            section += (digit or 1) * unit
        digit = 0
    # 三百五 is 350: a last digit right behind a unit counts the next smaller unit.
    last = digit * (unit // 10) if unit >= 100 and text[-1] in HANZI_DIGITS else digit
    return str(total + section + last)


def _split(words: list[str], mark: str) -> tuple[list[str], bool, list[str]]:
    if mark not in words:
        return words, False, []
    place = words.index(mark)
    return words[:place], True, words[place + 1 :]


def _groups(words: list[str]) -> list[int]:
    """Join words to numbers as far as English grammar allows; begin anew where it does not."""
    groups: list[_Group] = []
    for word in words:
        last = groups[-1] if groups else None
        if word in _SCALES:
            scale = _SCALES[word]
            value = last.value if last else 1
            # Thousand counts all before it, hundred what is below it.
            below = value % 1000 if scale == 100 else value
            grown = _Group(value - below + (below or 1) * scale, scale)
            groups = [*groups[:-1], grown]
            continue
        value = SMALL.get(word, ORDINAL.get(word, 0))
        if last is not None and 0 < value < last.open_below:
            groups[-1] = _Group(last.value + value, 10 if 20 <= value < 100 else 1)
        else:
            groups.append(_Group(value, 10 if 20 <= value < 100 else 1))
    return [group.value for group in groups]


def _ending(value: int) -> str:
    if 10 <= value % 100 <= 20:
        return "th"
    return {1: "st", 2: "nd", 3: "rd"}.get(value % 10, "th")


def spell(digits: str, language: str) -> str:
    """Return digits one by one, as they are read over a radio; 1 is 幺 in Mandarin."""
    names = _ONES if language == "en" else "零幺二三四五六七八九"
    point = "point" if language == "en" else "点"
    said = [
        names[int(sign)] if sign.isdigit() else point for sign in digits if sign in "0123456789."
    ]
    return (" " if language == "en" else "").join(said)
