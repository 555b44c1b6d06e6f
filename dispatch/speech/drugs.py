"""Names of drugs that are spoken of in emergencies, found also where they were misheard."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator

ENGLISH = (
    "acetaminophen", "adenosine", "adrenaline", "albuterol", "alteplase", "amiodarone",
    "amlodipine", "amoxicillin", "apixaban", "aspirin", "atropine", "benadryl", "bisoprolol",
    "carbamazepine", "cetirizine", "clopidogrel", "cocaine", "codeine", "dexamethasone",
    "diazepam", "digoxin", "diltiazem", "enoxaparin", "ephedrine", "epinephrine", "epipen",
    "fentanyl", "furosemide", "glucagon", "glucose", "haloperidol", "heparin", "heroin",
    "hydrocortisone", "ibuprofen", "insulin", "ipratropium", "ketamine", "lamotrigine",
    "levetiracetam", "lidocaine", "lorazepam", "magnesium", "metformin", "methadone",
    "metoprolol", "midazolam", "morphine", "naloxone", "naproxen", "narcan", "nifedipine",
    "nitroglycerin", "noradrenaline", "norepinephrine", "ondansetron", "oxycodone", "paracetamol",
    "penicillin", "phenobarbital", "phenytoin", "prednisolone", "propofol", "propranolol",
    "rivaroxaban", "salbutamol", "tenecteplase", "ticagrelor", "tramadol", "tylenol", "valium",
    "valproate", "ventolin", "verapamil", "viagra", "warfarin", "xanax",
)  # fmt: skip

MANDARIN = (
    "阿司匹林", "硝酸甘油", "肾上腺素", "去甲肾上腺素", "异丙肾上腺素", "阿托品", "胺碘酮",
    "利多卡因",
    "胰岛素", "葡萄糖", "沙丁胺醇", "纳洛酮", "布洛芬", "对乙酰氨基酚", "吗啡", "芬太尼", "氯胺酮",
    "咪达唑仑", "地西泮", "安定", "氯吡格雷", "替格瑞洛", "阿替普酶", "替奈普酶", "华法林", "肝素",
    "利伐沙班", "美托洛尔", "倍他乐克", "硝苯地平", "氨氯地平", "卡托普利", "速效救心丸",
    "丹参滴丸",
    "二甲双胍", "青霉素", "阿莫西林", "头孢", "地塞米松", "泼尼松", "氢化可的松", "苯巴比妥",
    "卡马西平", "丙戊酸钠", "异丙托溴铵", "氨茶碱", "速尿", "呋塞米", "地高辛", "维拉帕米",
    "硫酸镁", "降压药", "安眠药", "止痛药", "农药", "百草枯", "敌敌畏",
)  # fmt: skip

LIKE = 0.82
"""How alike a misheard word is to the name (ratio of difflib), and no other English word."""

LEAST = 6
"""Letters: shorter words are like too many others."""

LIKE_OTHERS = frozenset(
    (
        "inhaling", "insulating", "insulation", "relation", "paragraph", "parachute",
        "metropolitan", "warfare",
    )
)  # fmt: skip


def drugs_in(text: str) -> Iterator[tuple[int, int, str]]:
    """Return begin, end and name of each drug in a text, in both languages.

    An English name is also found where the recogniser wrote a word like it, or two that sound so
    together (``nitro glycerine``).
    """
    for found in re.finditer("|".join(sorted(MANDARIN, key=len, reverse=True)), text):
        yield found.start(), found.end(), found.group()
    words = list(re.finditer(r"[A-Za-z]+", text))
    taken = -1
    for place, word in enumerate(words):
        if word.start() < taken:
            continue
        following = words[place + 1] if place + 1 < len(words) else None
        pair = following is not None and text[word.end() : following.start()] in {" ", "-"}
        if word.group().lower() in ENGLISH or (following and _name(following.group().lower())):
            pair = False  # it needs no word beside it
        for last in ([following] if pair and following else []) + [word]:
            name = _name(re.sub(r"[^a-z]", "", text[word.start() : last.end()].lower()))
            if name:
                taken = last.end()
                yield word.start(), last.end(), name
                break


def _name(word: str) -> str | None:
    if word in ENGLISH:
        return word
    if len(word) < LEAST or word in LIKE_OTHERS:
        return None
    like = difflib.get_close_matches(_sound(word), _BY_SOUND, 1, LIKE)
    return _BY_SOUND[like[0]] if like else None


def _sound(word: str) -> str:
    """Return roughly how it sounds: the recogniser spells an unknown name as it hears it."""
    for letters, sound in (("ph", "f"), ("ck", "k"), ("c", "k"), ("y", "i"), ("z", "s")):
        word = word.replace(letters, sound)
    return re.sub(r"(.)\1", r"\1", word).rstrip("e")


_BY_SOUND = {_sound(name): name for name in ENGLISH}
