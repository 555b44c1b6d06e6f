"""What must not be taken from recognised speech without asking: numbers, drugs, yes and no.

Pure: a final text in, spans out, each with its kind, its value in digits, and the words that read
it back so that fifteen and fifty sound different. It finds too much rather than too little; what
the recogniser wrote as another word altogether (``for`` instead of ``four``) it cannot see.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from dispatch.speech import numerals
from dispatch.speech.drugs import drugs_in
from dispatch.speech.engine import Language
from dispatch.speech.hanzi import HANZI, mostly_hanzi
from dispatch.speech.numerals import ENGLISH, MANDARIN, english_value, mandarin_value, spell

Kind = Literal["drug", "dose", "phone", "time", "address", "number", "yes_no"]


@dataclass(frozen=True, slots=True)
class Doubt:
    """A part of a text that is to be confirmed.

    Attributes:
        kind: What it is.
        begin: First character in the text.
        end: One behind its last character.
        text: That part.
        value: What was understood: digits and units, the drug's name, ``yes`` or ``no``.
        read_back: Words that say it so that a mishearing is heard, in the language of the text.
    """

    kind: Kind
    begin: int
    end: int
    text: str
    value: str
    read_back: str


@dataclass(frozen=True, slots=True)
class _Pattern:
    kind: Kind
    shape: re.Pattern[str]


_DOSE_EN = (
    r"milligrams?|micrograms?|millilit(?:er|re)s?|grams?|lit(?:er|re)s?|mgs?|mcg|[µμu]g|g|mls?|cc"
    r"|units?|puffs?|sprays?|tablets?|pills?|capsules?|drops?|joules?"
)
_DOSE_ZH = "毫克|微克|公克|克|毫升|升|个?单位|片|粒|颗|支|滴|喷|丸|包|焦耳?|mg|mcg|ug|ml|g"
_STREET_EN = (
    r"street|st|road|rd|avenue|ave|boulevard|blvd|drive|lane|ln|court|place|square|way|terrace"
    r"|highway|hwy|route|bridge|parkway|crescent"
)
_PLACE_EN = (
    r"apartment|apt|flat|building|block|floor|room|unit|suite|house|exit|gate|platform|level"
)
_PLACE_ZH = "号楼|号线|号院|号门|号|栋|幢|座|单元|楼|层|室|房|弄|巷|门|公里处?|出口"
_ROAD_ZH = "大道|马路|路|街|巷|弄|胡同|高速|桥"
_NOT_ROAD = "走路|一路|过马路|铁路|半路|迷路|让路|问路|电路|线路|的路|条路|上路|修路|认路"
_DAYPART = "凌晨|早上|早晨|上午|中午|下午|傍晚|晚上|半夜|今晚|今天|昨天|昨晚|明天"
_AFTER_EN = (
    r"years?|months?|weeks?|days?|hours?|minutes?|mins?|seconds?|secs?|people|persons?|patients?"
    r"|victims?|children|kids|times?|percent|degrees?|meters?|metres?|feet|foot|miles?|kilomet"
    r"(?:er|re)s?|km|kilos?|kilograms?|kg|pounds?|beats?|breaths?|compressions?|per\s+minute"
)
_AFTER_ZH = (
    "个半小时|小时|分钟|秒钟?|周岁|岁半?|个月|天|周|年|次|下|个人|个|人|米|公里|公斤|斤|度|辆|名|位"
)

_ENGLISH_PATTERNS = (
    _Pattern("phone", re.compile(r"(?<![\w.])\+?\d(?:[\s().-]?\d){6,}(?!\w)")),
    _Pattern(
        "phone",
        re.compile(
            r"\b(?:(?:double\s+)?(?:zero|oh|one|two|three|four|five|six|seven|eight|nine)"
            r"[\s,-]+){5,}(?:zero|oh|one|two|three|four|five|six|seven|eight|nine)\b",
            re.IGNORECASE,
        ),
    ),
    _Pattern(
        "dose",
        re.compile(
            rf"(?:{ENGLISH}|(?<!\w)\d+(?:\.\d+)?|\bhalf\s+an?)\s*(?:{_DOSE_EN})\b", re.IGNORECASE
        ),
    ),
    _Pattern("time", re.compile(r"\b\d{1,2}:\d{2}(?:\s*[ap]\.?m\b\.?)?", re.IGNORECASE)),
    _Pattern(
        "time",
        re.compile(
            rf"\b(?:half|quarter|five|ten|twenty(?:[\s-]five)?)\s+(?:past|to)\s+(?:{ENGLISH})"
            rf"|(?:{ENGLISH})\s*(?:o'?clock\b|[ap]\.?m\b\.?)",
            re.IGNORECASE,
        ),
    ),
    _Pattern(
        "address",
        re.compile(
            rf"(?:{ENGLISH})[a-z]?,?\s+(?:[A-Za-z.'-]+\s+){{0,3}}?(?:{_STREET_EN})\b"
            rf"|(?:{_STREET_EN}|{_PLACE_EN})\s+(?:number\s+)?(?:{ENGLISH}|\d+[a-z]|[a-z]\b)"
            rf"(?:\s?[a-z]\b)?"
            rf"|(?:{ENGLISH}|\bfirst|\bsecond|\bthird)\s+(?:{_PLACE_EN}|{_STREET_EN})\b",
            re.IGNORECASE,
        ),
    ),
    _Pattern(
        "address",
        re.compile(rf"(?:\b[A-Z][\w'-]+\s+){{1,3}}(?:{_STREET_EN.title()})\b"),
    ),
    _Pattern("number", re.compile(rf"(?:{ENGLISH})(?:[\s-]+(?:{_AFTER_EN})\b|%)?", re.IGNORECASE)),
    _Pattern(
        "number",
        re.compile(r"\b(?:half\s+an?|a\s+couple\s+of|a\s+dozen|twice|once)\b", re.IGNORECASE),
    ),
    _Pattern("number", re.compile(r"\w*\d\w*")),
    # A number that was written as a word of the same sound: four minutes, eight tablets.
    _Pattern(
        "number",
        re.compile(
            rf"\b(?:for|to|too|ate|won|tree|free)\s+(?:{_DOSE_EN}|minutes|seconds|hours|times|years)\b",
            re.IGNORECASE,
        ),
    ),
)

_MANDARIN_PATTERNS = (
    _Pattern(
        "phone", re.compile(r"(?<!\d)\d(?:[\s-]?\d){6,}(?!\d)|[零〇一二三四五六七八九幺]{7,}")
    ),
    _Pattern("dose", re.compile(rf"(?:{MANDARIN}|半)(?:{_DOSE_ZH})半?")),
    _Pattern(
        "time",
        re.compile(
            rf"\d{{1,2}}[:：]\d{{2}}|(?:{_DAYPART})?(?:{MANDARIN}?)(?<=[\d一二两三四五六七八九十])"
            rf"点(?:半|整|钟|[一三]刻|(?:{MANDARIN})分?)"
            rf"|(?:{_DAYPART})(?:{MANDARIN})点"
        ),
    ),
    _Pattern(
        "address",
        re.compile(
            rf"(?:[{HANZI}]{{2,6}}?(?:{_ROAD_ZH}))?(?:(?:{MANDARIN}|[A-Za-z]\d*|[甲乙丙丁])"
            rf"(?:{_PLACE_ZH}))+(?:{MANDARIN})?(?:(?:{MANDARIN})(?:{_PLACE_ZH}))*"
        ),
    ),
    _Pattern("address", re.compile(rf"[{HANZI}]{{2,6}}?(?:{_ROAD_ZH})")),
    _Pattern("time", re.compile(rf"(?:{MANDARIN})点")),
    _Pattern("number", re.compile(rf"百分之(?:{MANDARIN})")),
    _Pattern("number", re.compile(rf"第?(?:{MANDARIN}|半)(?:{_AFTER_ZH})(?:半)?")),
    _Pattern("number", re.compile(r"[A-Za-z]+\d+[A-Za-z]*|\d+[A-Za-z]+")),
    _Pattern("number", re.compile(rf"第?(?:{MANDARIN})")),
)

_NO_NUMBER_BEFORE = re.compile(
    r"\b(?:no|any|every|some|this|that|the|which|each|another|wrong|right|other)\s+$", re.IGNORECASE
)
# Words that hold a number and are none; days of the week are no number to confirm either.
_NO_NUMBER_ZH = re.compile(
    "一下|一直|一样|一定|一起|一些|一般|一点儿?|一边|一会儿?|一旦|一切|一共|万一|统一|唯一|之一|千万|"
    "十分(?!钟)|三明治|四处|四周|百姓|一半|一个劲|一面|一动不动|不一|专一|同一|第一时间|七上八下|三轮|一氧化碳|二氧化碳|"
    "星期[一二三四五六]|周[一二三四五六]"
)

_YES_EN = re.compile(
    r"(?:^|(?<=[.!?,;]))\s*\b(yes|yeah|yep|yup|no(?!\s+one|\s+idea)|nope|nah|correct|negative"
    r"|affirmative|right(?=[.!?,;]|$))\b",
    re.IGNORECASE,
)
_YES_ZH = re.compile(
    "(?:^|(?<=[，。！？、,.!?\\s]))(不是的?|不对|不要|不会|不能|没有|没|不|是的?|对的?|对对|好的?|有的?|"
    "会的?|能的?|嗯|可以)(?=$|[，。！？、,.!?\\s啊呀吧了])"
)
_NO = {"no", "nope", "nah", "negative"}


def doubts(text: str, language: Language | None = None) -> tuple[Doubt, ...]:
    """Return what of a final text is to be confirmed, in order, without overlaps.

    Args:
        text: Of one utterance.
        language: What it was taken for; None, or where the text has letters: its script tells.
    """
    found: list[Doubt] = []
    lettered = re.search(rf"[A-Za-z{HANZI}]", text) is not None
    zh = mostly_hanzi(text) if lettered else language == "zh"
    for begin, end, name in drugs_in(text):
        _add(found, Doubt("drug", begin, end, text[begin:end], name, name))
    words = [] if not zh else [span.span() for span in _NO_NUMBER_ZH.finditer(text)]
    for pattern in _MANDARIN_PATTERNS if zh else _ENGLISH_PATTERNS:
        for span in pattern.shape.finditer(text):
            if doubt := _doubt(pattern.kind, text, span, words, zh=zh):
                _add(found, doubt)
    for answer in _answers(text, zh=zh):
        _add(found, answer)
    _add_left(found, text, zh=zh)
    return tuple(sorted(found, key=lambda doubt: doubt.begin))


def _doubt(
    kind: Kind, text: str, span: re.Match[str], words: list[tuple[int, int]], *, zh: bool
) -> Doubt | None:
    begin, end = _trimmed(kind, text, span, zh=zh)
    said = text[begin:end]
    if not said or (zh and kind == "address" and re.search(_NOT_ROAD, said)):
        return None
    if kind in {"number", "time"} and _is_a_word(text, begin, end, words):
        return None
    if not zh and said.lower() == "one" and _NO_NUMBER_BEFORE.search(text[:begin]):
        return None
    value = _value(said, kind, zh=zh)
    return Doubt(kind, begin, end, said, value, _read_back(kind, value, zh=zh))


def _is_a_word(text: str, begin: int, end: int, words: list[tuple[int, int]]) -> bool:
    """Whether all that is a number in it belongs to words that are none, such as 万一."""
    said = text[begin:end]
    if re.match(_DAYPART, said):
        return False
    numbers = [(begin + n.start(), begin + n.end()) for n in re.finditer(MANDARIN, said)]
    return bool(numbers) and all(
        any(first <= start and stop <= last for first, last in words) for start, stop in numbers
    )


def _trimmed(kind: Kind, text: str, span: re.Match[str], *, zh: bool) -> tuple[int, int]:
    """Return the span without the words before a Chinese street's name, and without spaces."""
    begin, end = span.span()
    if zh and kind == "address":
        lead = re.match(
            r".*?(?:地址是|地址|我们?在|住在|在|到|是|从|去|位于|我家|往|经过)", text[begin:end]
        )
        if lead:
            begin += lead.end()
    said = text[begin:end]
    return begin + len(said) - len(said.lstrip()), end - (len(said) - len(said.rstrip(" -,")))


def _value(said: str, kind: Kind, *, zh: bool) -> str:
    """Return the same with its numbers in digits."""
    if kind == "phone":
        return _telephone(said, zh=zh)
    if zh:
        if kind == "time":
            return _time_zh(said)
        percent = re.fullmatch(rf"百分之({MANDARIN})", said)
        if percent:
            return f"{mandarin_value(percent[1])}%"
        return re.sub(MANDARIN, lambda found: mandarin_value(found.group()), said)
    return re.sub(ENGLISH, lambda found: english_value(found.group()), said, flags=re.IGNORECASE)


def _telephone(said: str, *, zh: bool) -> str:
    if zh:
        return "".join(
            str(numerals.HANZI_DIGITS.get(sign, sign)) for sign in said if sign not in " -"
        )
    doubled = re.sub(r"double\s+(\w+)", r"\1 \1", said.lower())
    digits = "".join(
        str(numerals.SMALL.get(part, part)) for part in re.findall(r"\d|[a-z]+", doubled)
    )
    return ("+" if said.lstrip().startswith("+") else "") + digits


def _time_zh(said: str) -> str:
    found = re.fullmatch(rf"(.*?)({MANDARIN})[点:：](.*)", said)
    if not found:
        return said
    before, hour, after = found.groups()
    quarters = {"半": "30", "一刻": "15", "三刻": "45", "整": "00", "钟": "00", "": "00"}
    minute = quarters.get(after) or mandarin_value(after.rstrip("分")).zfill(2)
    return f"{before}{mandarin_value(hour)}:{minute}"


def _read_back(kind: Kind, value: str, *, zh: bool) -> str:
    """Return the value, and its digits one by one where there is more than one."""
    language = "zh" if zh else "en"
    if kind == "phone":
        digits = value.lstrip("+")
        groups = _grouped(digits)
        return ("，" if zh else ", ").join(spell(group, language) for group in groups)
    spelled = [
        spell(number, language) for number in re.findall(r"\d+(?:\.\d+)?", value) if len(number) > 1
    ]
    separator = "，" if zh else ", "
    return separator.join([value, *spelled])


def _grouped(digits: str) -> list[str]:
    """Return a telephone number in the groups in which it is said."""
    sizes = {7: (3, 4), 8: (4, 4), 10: (3, 3, 4), 11: (3, 4, 4)}.get(len(digits))
    if sizes is None:
        head = len(digits) % 4
        return [digits[:head]] * bool(head) + re.findall("....", digits[head:])
    ends = list(itertools.accumulate(sizes))
    return [digits[end - size : end] for size, end in zip(sizes, ends, strict=True)]


def _answers(text: str, *, zh: bool) -> Iterator[Doubt]:
    for span in (_YES_ZH if zh else _YES_EN).finditer(text):
        begin, end = span.span(1)
        said = span.group(1)
        if zh:
            value = "no" if said[0] in "不没" else "yes"
        else:
            value = "no" if said.lower() in _NO else "yes"
        yield Doubt("yes_no", begin, end, said, value, said)


def _add(found: list[Doubt], doubt: Doubt) -> None:
    """Keep it unless what was found before covers a part of it: the first patterns know more."""
    if all(doubt.end <= other.begin or other.end <= doubt.begin for other in found):
        found.append(doubt)


def _add_left(found: list[Doubt], text: str, *, zh: bool) -> None:
    """Add digits that no pattern took, such as those behind a time that is none: none escapes."""
    taken = {place for doubt in found for place in range(doubt.begin, doubt.end)}
    places = [place for place, sign in enumerate(text) if sign.isdigit() and place not in taken]
    for _, run in itertools.groupby(enumerate(places), lambda pair: pair[1] - pair[0]):
        run_places = [place for _, place in run]
        begin, end = run_places[0], run_places[-1] + 1
        said = text[begin:end]
        found.append(Doubt("number", begin, end, said, said, _read_back("number", said, zh=zh)))
