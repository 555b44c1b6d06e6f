"""What somebody typed, made ready to be spoken: cleaned, bounded, in parts of one language each.

Pure. A stranger typed it: it may hold mark-up, phonemes in brackets, addresses of pages, signs
that no voice knows, or a key that was held down.
"""

from __future__ import annotations

import re
import unicodedata

from dispatch.speech.engine import Language
from dispatch.speech.hanzi import HANZI

MOST_CHARACTERS = 400
"""About a minute of speech; more is cut at a sentence or a word."""

MOST_REPEATS = 3
"""A letter that is there more often in a row was held down; digits never are shortened."""

LONG_NUMBER = 5
"""A number of so many digits is read digit by digit: a telephone number is no quantity."""

LINK = {"en": "link", "zh": "链接"}
MISSING = {"en": " missing text ", "zh": "，缺字，"}
"""Said for U+FFFD, which marks what was lost on the way (T.140)."""

_LINK = re.compile(r"(?:https?://|www\.)[^\s\u3000-\u303f\u4e00-\u9fff]+", re.IGNORECASE)
_MARK_UP = re.compile(r"<[^<>]{0,200}>")
_REPEATED = re.compile(r"([^\W\d_]|[^\w\s])\1{3,}")
_SENTENCE = re.compile(r"(?<=[。！？!?；;\n])\s*|(?<=\.)\s+(?=\S)")
_RUN = re.compile(rf"(?P<zh>[{HANZI}]+)|(?P<en>[^\W\d_]+(?:['’-][^\W\d_]+)*)|(?P<no>.)", re.DOTALL)
_DIGITS = re.compile(rf"(?<![\d.,])\d{{{LONG_NUMBER},}}(?![\d.,]\d)")


def spoken_parts(text: str, language: Language) -> tuple[tuple[Language, str], ...]:
    """Return what is to be said, each part in one language and at most a sentence long.

    Args:
        text: As it was typed.
        language: Of what no letter tells, such as a number alone.
    """
    cleaned = clean(text, language)
    parts: list[tuple[Language, str]] = []
    for sentence in _SENTENCE.split(cleaned):
        parts += by_script(sentence, language)
    return tuple((of, part.strip()) for of, part in parts if re.search(r"\w", part))


def clean(text: str, language: Language) -> str:
    """Return the text without what cannot be said, and bounded."""
    text = unicodedata.normalize("NFC", text[: 4 * MOST_CHARACTERS])
    text = _LINK.sub(f" {LINK[language]} ", text)
    text = _MARK_UP.sub(" ", text).replace("\ufffd", MISSING[language])
    text = "".join(_sayable(sign) for sign in text)
    text = _REPEATED.sub(lambda found: found.group(1) * MOST_REPEATS, text)
    text = _DIGITS.sub(lambda found: " ".join(found.group()), text)
    return _cut(re.sub(r"[^\S\n]+", " ", text).strip())


def by_script(text: str, language: Language) -> list[tuple[Language, str]]:
    """Split a text where its script changes between Chinese characters and letters.

    Digits and signs belong to a script that touches them (``12号楼``), first to what follows; else
    to what was before.
    """
    parts: list[tuple[Language | None, str]] = []
    for found in _RUN.finditer(text):
        of: Language | None = "zh" if found["zh"] else "en" if found["en"] else None
        if parts and (of == parts[-1][0]):
            parts[-1] = (of, parts[-1][1] + found.group())
        else:
            parts.append((of, found.group()))
    return _attach(parts, language)


def _attach(
    parts: list[tuple[Language | None, str]], language: Language
) -> list[tuple[Language, str]]:
    done: list[tuple[Language, str]] = []
    for place, (of, text) in enumerate(parts):
        following = parts[place + 1][0] if place + 1 < len(parts) else None
        touches = following is not None and text[-1:].isalnum()
        before = done[-1][0] if done else None
        chosen = of or (following if touches else None) or before or following or language
        if done and done[-1][0] == chosen:
            done[-1] = (chosen, done[-1][1] + text)
        else:
            done.append((chosen, text))
    return done


def opening(text: str, most: int) -> tuple[str, str]:
    """Split off what is spoken first, so that it is there early: a clause, else some words.

    Args:
        text: One part, see `spoken_parts`.
        most: Characters of the first piece; a word that is longer stays whole.
    """
    if len(text) <= most:
        return text, ""
    head = text[: most + 1]
    for shape in (r"[,，、:：]\s*", rf"\s+|(?<=[{HANZI}])(?=[{HANZI}])"):
        ends = [found.end() for found in re.finditer(shape, head) if 0 < found.end() <= most]
        if ends:
            return text[: ends[-1]], text[ends[-1] :]
    longer = re.search(r"\s+", text[most:])
    end = most + longer.end() if longer else len(text)
    return text[:end], text[end:]


def _sayable(sign: str) -> str:
    """Return the sign, a space in place of one that no voice says, or nothing."""
    if sign == "\n":
        return sign
    kind = unicodedata.category(sign)
    if kind in {"Cc", "Zl", "Zp", "So", "Cs", "Co", "Cn"} or sign in "[]{}<>|\\^~`*_#":
        return " "  # controls, pictures, private signs, and what engines take for orders
    return "" if kind in {"Cf", "Sk"} or "\ufe00" <= sign <= "\ufe0f" else sign


def _cut(text: str) -> str:
    if len(text) <= MOST_CHARACTERS:
        return text
    head = text[:MOST_CHARACTERS]
    ends = [found.end() for found in re.finditer(r"[。！？!?；;.,，\s]", head)]
    late = [end for end in ends if end > MOST_CHARACTERS // 2]
    return head[: late[-1]] if late else head
