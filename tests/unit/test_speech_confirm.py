"""What of recognised speech is to be confirmed, and how it is read back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.speech_clips import number_words
from dispatch.speech.confirm import doubts
from dispatch.speech.drugs import ENGLISH, drugs_in
from dispatch.speech.engine import Language
from dispatch.speech.numerals import english_value, mandarin_value

EXAMPLES = [
    # (text, kind, the part that is found, its value)
    ("He is fifty-six years old.", "number", "fifty-six years", "56 years"),
    ("It was fifteen minutes ago", "number", "fifteen minutes", "15 minutes"),
    ("press 100 to 120 times", "number", "120 times", "120 times"),
    ("There are three patients.", "number", "three patients", "3 patients"),
    ("One twenty please", "number", "One twenty", "1 20"),
    ("We are at 12 Main Street", "address", "12 Main Street", "12 Main Street"),
    ("at twenty one Oak Avenue", "address", "twenty one Oak Avenue", "21 Oak Avenue"),
    ("I am on King George Road", "address", "King George Road", "King George Road"),
    ("apartment 4B", "address", "apartment 4B", "apartment 4B"),
    ("on the third floor", "address", "third floor", "third floor"),
    ("call 555-123-4567", "phone", "555-123-4567", "5551234567"),
    ("one three eight double two four five", "phone", None, "1382245"),
    ("give 0.3 mg", "dose", "0.3 mg", "0.3 mg"),
    ("5mg now", "dose", "5mg", "5mg"),
    ("take two tablets", "dose", "two tablets", "2 tablets"),
    ("of epinefrin", "drug", "epinefrin", "epinephrine"),
    ("some nitro glycerine", "drug", "nitro glycerine", "nitroglycerin"),
    ("at half past two", "time", "half past two", "half past 2"),
    ("it was 14:30", "time", "14:30", "14:30"),
    ("Wait for minutes before the next", "number", "for minutes", "for minutes"),
    ("Yes, he is.", "yes_no", "Yes", "yes"),
    ("No.", "yes_no", "No", "no"),
    ("他一百二十斤", "number", "一百二十斤", "120斤"),
    ("五十六岁", "number", "五十六岁", "56岁"),
    ("有三个人受伤", "number", "三个人", "3个人"),
    ("血氧百分之九十五", "number", "百分之九十五", "95%"),
    ("十分钟前", "number", "十分钟", "10分钟"),
    ("两点半倒下的", "time", "两点半", "2:30"),
    ("下午三点", "time", "下午三点", "下午3:00"),
    ("我在12号楼", "address", "12号楼", "12号楼"),
    ("人民路一百二十号3单元502室", "address", None, "人民路120号3单元502室"),
    ("我在人民路", "address", "人民路", "人民路"),
    ("电话13812345678", "phone", "13812345678", "13812345678"),
    ("幺三八一二三四五六七八", "phone", None, "13812345678"),
    ("给他0.3毫克", "dose", "0.3毫克", "0.3毫克"),
    ("吃了半片", "dose", "半片", "半片"),
    ("打肾上腺素", "drug", "肾上腺素", "肾上腺素"),
    ("不是，他没有呼吸", "yes_no", "不是", "no"),
    ("好的", "yes_no", "好的", "yes"),
    ("没有", "yes_no", "没有", "no"),
]


@pytest.mark.parametrize(("text", "kind", "part", "value"), EXAMPLES)
def test_doubts_of_an_example_hold_its_critical_part(
    text: str, kind: str, part: str | None, value: str
) -> None:
    found = [doubt for doubt in doubts(text) if doubt.kind == kind]
    assert [doubt.value for doubt in found if part is None or doubt.text == part] == [value]
    assert all(text[doubt.begin : doubt.end] == doubt.text for doubt in found)


@pytest.mark.parametrize(
    "text",
    [
        "Nobody is here and no one knows.",
        "This one is fine.",
        "Please stay on the line.",
        "千万不要动他，快一点",
        "他走路的时候摔倒了",
        "一直没醒，一点都不疼",
        "十分疼",
        "万一他醒了",
        "",
        "...",
    ],
)
def test_doubts_of_words_that_only_look_like_numbers_are_none(text: str) -> None:
    assert doubts(text) == ()


@pytest.mark.parametrize(
    ("one", "other"),
    [("fifteen people", "fifty people"), ("十四个人", "四十个人"), ("13812345678", "13812345679")],
)
def test_read_back_of_numbers_that_sound_alike_differs_digit_by_digit(one: str, other: str) -> None:
    first, second = doubts(one)[0].read_back, doubts(other)[0].read_back
    assert first.replace(doubts(one)[0].value, "") != second.replace(doubts(other)[0].value, "")


def test_read_back_spells_digits_in_the_language_of_the_text() -> None:
    assert doubts("50 people")[0].read_back == "50 people, five zero"
    assert doubts("0.3毫克")[0].read_back == "0.3毫克，零点三"
    assert doubts("我的电话是13812345678")[0].read_back == "幺三八，幺二三四，五六七八"
    assert doubts("120", "zh")[0].read_back == "120，幺二零"


@given(st.integers(0, 9999), st.sampled_from(["{} people are hurt", "room {} now", "he weighs {}"]))
def test_every_english_number_in_words_is_found_with_its_value(number: int, sentence: str) -> None:
    said = " ".join(number_words(number))
    assert english_value(said) == str(number)
    found = doubts(sentence.format(said))
    assert any(str(number) in doubt.value for doubt in found)


@given(st.integers(0, 99_999), st.sampled_from(["有{}个人", "{}号楼", "他吃了{}片药", "血压{}"]))
def test_every_mandarin_number_in_characters_is_found_with_its_value(
    number: int, sentence: str
) -> None:
    said = hanzi(number)
    assert mandarin_value(said) == str(number)
    found = doubts(sentence.format(said))
    assert any(str(number) in doubt.value for doubt in found), (said, found)


@given(st.text(max_size=60), st.sampled_from(["en", "zh", None]))
def test_doubts_of_any_text_lie_in_it_in_order_and_apart(
    text: str, language: Language | None
) -> None:
    end = 0
    for doubt in doubts(text, language):
        assert end <= doubt.begin < doubt.end <= len(text)
        assert text[doubt.begin : doubt.end] == doubt.text
        assert doubt.value
        end = doubt.end


@given(st.text("0123456789 ab,.:-%", max_size=40))
def test_no_digit_of_any_text_escapes(text: str) -> None:
    covered = {place for doubt in doubts(text) for place in range(doubt.begin, doubt.end)}
    assert [p for p, sign in enumerate(text) if sign.isdigit() and p not in covered] == []


@pytest.mark.parametrize("name", ENGLISH)
def test_each_drug_is_found_by_its_own_name_also_with_a_letter_lost(name: str) -> None:
    assert [found for *_, found in drugs_in(f"he took {name} today")] == [name]
    if len(name) >= 9:
        assert list(drugs_in(f"he took {name[:4] + name[5:]} today"))


def hanzi(number: int) -> str:
    """Returns a number below 100,000 as it is said in Mandarin."""
    signs = "零一二三四五六七八九"
    if number < 10:
        return signs[number]
    for unit, name in ((10_000, "万"), (1000, "千"), (100, "百"), (10, "十")):
        if number >= unit:
            head, rest = divmod(number, unit)
            lead = "" if unit == 10 and head == 1 else hanzi(head)
            if rest == 0:
                return lead + name
            gap = "零" if rest < unit // 10 else ""
            # Within a number, ten is said as one ten.
            tail = "一" + hanzi(rest) if 10 <= rest < 20 else hanzi(rest)
            return lead + name + gap + tail
    raise AssertionError(number)
