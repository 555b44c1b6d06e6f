"""A protocol with a fault stops the start: file, step and field are named, and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from dispatch.guidance.loading import load
from streams.errors import ConfigError

WELL = """\
id = "faint"
version = "1"
date = 2026-11-23
start = "lies"
title = { en = "Fainting", zh = "晕厥" }
review = { en = "Reviewed by Dr. Example.", zh = "已由示例医生审核。" }

[[step]]
id = "lies"
kind = "question"
en = "Are they lying?"
zh = "病人躺着吗？"
pictogram = "ask"
source = "own"
section = "fainting"
answers = [
  { id = "yes", en = "Yes", zh = "是", to = "legs" },
  { id = "unsure", en = "Not sure", zh = "不确定", to = "lay", unsure = true },
]

[[step]]
id = "lay"
kind = "instruction"
en = "Lay them down for 5 minutes."
zh = "让病人躺下5分钟。"
pictogram = "lie_flat"
source = "own"
section = "fainting"
to = "legs"

[[step]]
id = "legs"
kind = "hand_over"
en = "Lift the legs."
zh = "抬高双腿。"
pictogram = "legs_up"
source = "own"
section = "fainting"
recheck_s = 60
to = "lies"
answers = [ { id = "asleep", en = "Does not answer", zh = "没有反应", to = "entry:breathing" } ]
"""
SOURCES = """\
[[source]]
id = "own"
name = "Standing orders of the example service"
short = "Standing orders"
year = 2026
"""


def folder(at: Path, text: str = WELL, name: str = "faint.toml", sources: str = SOURCES) -> Path:
    (at / "sources.toml").write_text(sources, encoding="utf-8")
    (at / name).write_text(text, encoding="utf-8")
    return at


def test_operators_protocol_is_added_to_ours(tmp_path: Path) -> None:
    library = load(folder(tmp_path))
    assert library.cite(library.step("faint", "legs")) == "Standing orders: fainting"
    assert "cardiac_arrest_adult" in library.protocols
    assert library.files["faint"].endswith("faint.toml")


def test_operators_protocol_of_the_same_id_replaces_ours(tmp_path: Path) -> None:
    text = WELL.replace('id = "faint"', 'id = "heat_stroke"').replace('"lies"', '"signs"')
    library = load(folder(tmp_path, text))
    assert [one.id for one in library.protocol("heat_stroke").step] == ["signs", "lay", "legs"]


def test_operators_protocol_that_lacks_a_step_others_lead_to_is_refused(tmp_path: Path) -> None:
    text = WELL.replace('id = "faint"', 'id = "heat_stroke"')
    with pytest.raises(ConfigError, match=r"there is no such step in 'heat_stroke'"):
        load(folder(tmp_path, text))


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        # what the file itself must be
        ('id = "faint"', 'id = "faint', "not valid TOML"),
        ('version = "1"\n', "", "missing required field `version`"),
        ('version = "1"', 'version = "1"\ncolour = "red"', "unknown field `colour`"),
        ('kind = "instruction"', 'kind = "advice"', "step 'lay', kind:"),
        ('section = "fainting"\nto = "legs"', 'to = "legs"', "step 'lay': "),
        ('to = "legs" },', 'to = "legs", go = 1 },', "step 'lies', answers[0]:"),
        ("recheck_s = 60", 'recheck_s = "often"', "step 'legs', recheck_s:"),
        ('to = "lies"', 'to = "lies"\nmetronome = 60', "step 'legs', metronome:"),
        ('to = "lies"', 'to = "lies"\nmetronome = 140', "step 'legs', metronome:"),
        # ways
        ('start = "lies"', 'start = "begin"', "start: there is no step 'begin'"),
        ('\nto = "legs"\n', "\n", "step 'lay', to: dead end"),
        ('to = "legs" },', 'to = "feet" },', "step 'lies', answers.yes.to: 'feet'"),
        ('"entry:breathing"', '"entry:nowhere"', "'entry:nowhere': there is no such step"),
        ('"entry:breathing"', '"nothing:here"', "there is no protocol 'nothing'"),
        ('to = "lay", unsure', 'to = "legs", unsure', "step 'lay', id: no way leads to it"),
        ('\nto = "legs"\n', '\nto = "lies"\n', "never comes to an instruction that stands"),
        ('id = "lay"', 'id = "legs"', "step 'legs', id: two steps have it"),
        # kinds
        (', unsure = true', "", "step 'lies', answers: exactly one must be for who is not sure"),
        (
            '  { id = "yes", en = "Yes", zh = "是", to = "legs" },\n',
            "",
            "step 'lies', answers: a question has 2 to 4, not 1",
        ),
        ('id = "yes"', 'id = "unsure"', "step 'lies', answers: two have the same id"),
        ('"fainting"\nanswers', '"fainting"\nto = "lay"\nanswers', "step 'lies', to: a question"),
        ("recheck_s = 60\n", "", "step 'legs', recheck_s: a hand_over has both"),
        ('\nto = "legs"\n', '\nto = "legs"\nrecheck_s = 60\n', "step 'lay', recheck_s: only a"),
        (
            '\nto = "legs"\n',
            '\nto = "legs"\nrescuer_change_s = 120\n',
            "step 'lay', rescuer_change_s: means nothing without a metronome",
        ),
        ("recheck_s = 60", 'recheck_s = 60\nswitch = "x"', "step 'legs', switch: what stands"),
        (
            '\nto = "legs"\n',
            '\nto = "legs"\nanswers = [{ id = "a", en = "A", zh = "甲", to = "legs" }]\n',
            "step 'lay', answers: an instruction has none",
        ),
        # words
        ('zh = "抬高双腿。"', 'zh = ""', "step 'legs', en/zh: a language has no words"),
        ('zh = "抬高双腿。"', 'zh = "Lift the legs."', "step 'legs', en/zh: no Chinese"),
        ('zh = "抬高双腿。"', 'zh = "抬高 legs。"', "English left in the Chinese: legs"),
        ('en = "Lift the legs."', 'en = "Lift 双腿."', "step 'legs', en/zh: Chinese in the"),
        ("躺下5分钟", "躺下3分钟", "step 'lay', en/zh: the languages name other numbers"),
        ('en = "Lift the legs."', f'en = "{"Lift! " * 40}"', "too long to be taken in"),
        ('zh = "没有反应"', 'zh = "none"', "step 'legs', answers.asleep: no Chinese"),
        (
            'zh = "抬高双腿。"',
            'zh = "抬高双腿。"\nspoken_en = "Legs up."',
            "step 'legs', spoken_en/spoken_zh: one language has it",
        ),
        ('zh = "晕厥"', 'zh = "Faint"', "faint.toml: title: no Chinese"),
        # sources
        ('source = "own"\nsection = "fainting"\nto', 'source = "book"\nsection = "x y"\nto',
         "step 'lay', source: sources.toml has no 'book'"),
    ],
)  # fmt: skip
def test_protocol_with_a_fault_is_refused_with_file_step_and_field(
    tmp_path: Path, old: str, new: str, fault: str
) -> None:
    assert old in WELL
    with pytest.raises(ConfigError) as caught:
        load(folder(tmp_path, WELL.replace(old, new, 1)))
    assert str(tmp_path / "faint.toml") in str(caught.value)
    assert fault in str(caught.value)


def test_well_formed_protocol_is_the_one_from_which_the_faults_are_made(tmp_path: Path) -> None:
    assert load(folder(tmp_path)).protocol("faint").title.en == "Fainting"


def test_two_files_with_one_id_are_refused_with_both_names(tmp_path: Path) -> None:
    folder(tmp_path, name="a.toml")
    with pytest.raises(ConfigError, match=r"b\.toml: id: 'faint' is that of .*a\.toml too"):
        load(folder(tmp_path, name="b.toml"))


def test_source_with_a_fault_is_refused_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"sources\.toml: source 'own', year:"):
        load(folder(tmp_path, sources=SOURCES.replace("2026", '"soon"')))


def test_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no folder of protocols is there"):
        load(tmp_path / "none")


def test_file_of_another_encoding_is_refused_with_its_name(tmp_path: Path) -> None:
    folder(tmp_path)
    (tmp_path / "old.toml").write_bytes("title = '晕厥'".encode("gb18030"))
    with pytest.raises(ConfigError, match=r"old\.toml: cannot be read"):
        load(tmp_path)


def test_folder_without_sources_of_its_own_uses_ours(tmp_path: Path) -> None:
    folder(tmp_path, WELL.replace('"own"', '"firstaid2024"'))
    (tmp_path / "sources.toml").unlink()
    library = load(tmp_path)
    assert library.cite(library.step("faint", "lay")).startswith("AHA/ARC 2024")


MEANS = 'means = {{ severity = "{}", en = "{}", zh = "{}", source = "{}", section = "fainting" }}'


@pytest.mark.parametrize(
    ("means", "words"),
    [
        (MEANS.format("red", "Fainting", "晕厥", "nobody"), "sources.toml has no 'nobody'"),
        (MEANS.format("red", "Fainting", "Fainting", "own"), "no Chinese"),
        (MEANS.format("black", "Fainting", "晕厥", "own"), "severity"),
    ],
)
@pytest.mark.parametrize("place", ["protocol", "step"])
def test_meaning_with_a_fault_is_refused(
    tmp_path: Path, means: str, words: str, place: str
) -> None:
    after = 'start = "lies"\n' if place == "protocol" else 'to = "legs"\n'
    text = WELL.replace(after, f"{after}{means}\n", 1)
    assert text != WELL
    with pytest.raises(ConfigError, match=words) as told:
        load(folder(tmp_path, text))
    assert "means" in str(told.value)
