"""Lines stand where they were whole: a seat that was long in writing answers nobody before."""

from __future__ import annotations

from dispatch import text_pages
from dispatch.cases import Case, CaseBook
from dispatch.text_actions import MS_NS, SayText, decide_text
from streams.call_messages import CallStep
from streams.identity import new_id
from streams.messages import CaseOpened
from streams.outbox import Draft
from streams.text_messages import TextChannel, TextTurn, Way
from tests.case_facts import START_NS, Pages

SECOND_NS = 1_000_000_000


class Chat:
    """A case whose caller and seat write to each other."""

    def __init__(self) -> None:
        self.pages, self.book, self.id = Pages(), CaseBook(), new_id()
        opened = CaseOpened(address="", complaint="", alias="Heron Blue")
        rang = CallStep(step="rang", number="+8613800000001", call="pbx-1", line="text")
        self.take(Draft("case_opened", opened, case=self.id))
        self.take(Draft("call_step", rang, case=self.id))
        channel = TextChannel(session="page-1", state="opened", way="page")
        self.take(Draft("text_channel", channel, case=self.id))

    def take(self, *drafts: Draft) -> None:
        for draft in drafts:
            self.book.take(self.pages.add(draft.kind, draft.body, case=draft.case))

    @property
    def case(self) -> Case:
        found = self.book.get(self.id)
        assert found is not None
        return found

    def writes(self, text: str, begun_s: int, ended_s: int) -> None:
        turn = TextTurn(
            turn=new_id(), who="caller", way="page", text=text,
            begun_ns=START_NS + begun_s * SECOND_NS, ended_ns=START_NS + ended_s * SECOND_NS,
        )  # fmt: skip
        self.take(Draft("text_turn", turn, case=self.id))

    def says(
        self, text: str, begun_s: int, now_s: int, *, turn: str = "", way: Way = "page",
        ended_s: int | None = None,
    ) -> str:  # fmt: skip
        name = turn or new_id()
        ended_ms = None if ended_s is None else START_NS // MS_NS + ended_s * 1000
        action = SayText(
            case=self.id, turn=name, text=text, way="speech" if way == "speech" else "page",
            begun_ms=START_NS // MS_NS + begun_s * 1000, ended_ms=ended_ms,
        )  # fmt: skip
        self.take(*decide_text(action, self.case, START_NS + now_s * SECOND_NS, "seat-1"))
        return name

    @property
    def shown(self) -> list[str]:
        return [one["text"] for one in text_pages.talk(self.case)["talk"]["turns"]]


def test_line_begun_long_before_it_was_sent_stands_where_it_was_sent() -> None:
    chat = Chat()
    chat.writes("He fell", 1, 3)
    chat.says("Is he awake?", begun_s=2, now_s=30)
    chat.writes("from the roof", 5, 10)
    assert chat.shown == ["He fell", "from the roof", "Is he awake?"]


def test_correction_stays_in_its_place() -> None:
    chat = Chat()
    name = chat.says("Take 30 mg", begun_s=1, now_s=2)
    chat.writes("how many?", 3, 5)
    chat.says("Take 300 mg", begun_s=8, now_s=9, turn=name)
    assert chat.shown == ["Take 300 mg", "how many?"]


def test_spoken_line_that_waited_for_a_look_stands_where_it_was_read() -> None:
    chat = Chat()
    name = chat.says("Number 7?", begun_s=1, now_s=20, way="speech", ended_s=3)
    chat.writes("second floor", 5, 10)
    assert chat.shown == ["second floor", "Number 7?"]
    chat.says("Number 17?", begun_s=25, now_s=26, turn=name)
    chat.writes("yes", 24, 25)
    assert chat.shown == ["second floor", "Number 17?", "yes"]


def test_callers_line_that_was_long_in_the_making_stands_at_its_end_with_its_beginning() -> None:
    chat = Chat()
    chat.writes("we are in the", 1, 200)
    chat.says("Where are you?", begun_s=100, now_s=110)
    assert chat.shown == ["Where are you?", "we are in the"]
    late = text_pages.talk(chat.case)["talk"]["turns"][-1]
    assert late["ended_ms"] - late["begun_ms"] == 199_000
