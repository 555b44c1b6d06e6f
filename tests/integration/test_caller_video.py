"""A caller's video at a real hub: who may publish and watch, what is journaled, what ends it."""

from __future__ import annotations

import io
import zlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from streams.identity import new_id
from streams.messages import Acknowledged, RunEnded
from streams.outbox import Draft
from streams.webrtc import Signalling
from tests.call_sources import Outside
from tests.conftest import WaitFor
from tests.hub_town import Hospital, Town, Vehicle, a_town
from tests.integration.conftest import DrawnTrack, Publish, View
from tests.text_callers import a_console, a_phone

PICTURE = b"\x89PNG\r\n\x1a\n"
for _kind, _data in (
    (b"IHDR", bytes([0, 0, 0, 1, 0, 0, 0, 1, 8, 0, 0, 0, 0])),
    (b"tEXt", b"where\0at home"),
    (b"IDAT", zlib.compress(b"\0\0")),
    (b"IEND", b""),
):
    PICTURE += len(_data).to_bytes(4, "big") + _kind + _data
    PICTURE += zlib.crc32(_kind + _data).to_bytes(4, "big")


@dataclass
class Caller:
    """The link of a case, as a phone that speaks HTTP has it."""

    town: Town
    case: str
    session: str

    @property
    def link(self) -> str:
        return self.town.hub.link_for(self.case)

    @property
    def token(self) -> str:
        return self.link.rsplit("/", 1)[1]

    async def say(self, step: str, status: int = 200, **fields: str) -> None:
        body = {"step": step, "session": self.session, **fields}
        async with (
            aiohttp.ClientSession() as http,
            http.post(f"{self.link}/video", json=body, ssl=self.town.trust) as answer,
        ):
            assert answer.status == status, await answer.text()

    def camera(self, way: str = "whip", token: str | None = None) -> Signalling:
        return self.media(way, "camera", self.token if token is None else token)

    def media(self, way: str, stream: str, token: str) -> Signalling:
        url = f"{self.town.hub.url}/{way}/caller-{self.case}/{stream}"
        return Signalling(url, token, self.town.trust)

    def resource(self, stream: str = "camera") -> Any:
        return self.town.hub.relay.snapshot().resources.get(f"caller-{self.case}/{stream}")

    async def video(self) -> dict[str, Any]:
        found: dict[str, Any] = (await self.town.get(f"/api/cases/{self.case}"))["caller_video"]
        return found

    async def steps(self) -> list[tuple[str, str, str]]:
        told = await self.town.get(f"/api/cases/{self.case}/timeline")
        found = [one["data"] for one in told if one["kind"] == "caller_video"]
        return [(one["step"], one["by"], one.get("who", "")) for one in found]


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    async with a_town(tmp_path) as found:
        yield found


def files_of(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def a_caller(town: Town) -> Caller:
    return Caller(town, await Outside(town).ring(), new_id())


async def reads_of(town: Town) -> int:
    return int((await town.hub._parts.journal.count())["reads"])


async def status_of(town: Town, at: Signalling) -> int:
    """400 is let in: then the offer is no offer."""
    headers = {"Authorization": f"Bearer {at.token}", "Content-Type": "application/sdp"}
    async with (
        aiohttp.ClientSession() as http,
        http.post(at.url, data=b"v=0", headers=headers, ssl=town.trust) as answer,
    ):
        return answer.status


async def test_caller_publishes_only_own_camera_and_only_while_consenting(town: Town) -> None:
    async with town.open_hub():
        caller, other = await a_caller(town), Caller(town, await town.open_case(), new_id())
        assert await status_of(town, caller.camera()) == 403, "nobody said yes"
        await caller.say("consented", language="en")
        assert await status_of(town, caller.camera()) == 400
        await other.say("consented")
        assert await status_of(town, other.camera(token=caller.token)) == 403
        for path in ("whip/unit-1/cabin", "whep/unit-1/cabin"):
            at = Signalling(f"{town.hub.url}/{path}", caller.token, town.trust)
            assert await status_of(town, at) == 403
        assert await status_of(town, caller.media("whip", "cabin", caller.token)) == 403
        assert await status_of(town, caller.camera(token=town.seat.token)) == 403
        assert await status_of(town, caller.camera(token=caller.token[:-1] + "x")) == 401
        assert await status_of(town, caller.camera("whep", town.seat.token)) == 400
        assert await status_of(town, caller.camera("whep")) == 403, "a page sees itself anyway"
        await caller.say("withdrawn")
        assert await status_of(town, caller.camera()) == 403
        assert await status_of(town, caller.camera("whep", town.seat.token)) == 403
        assert await caller.steps() == [("consented", "caller", ""), ("withdrawn", "caller", "")]


async def test_crew_may_watch_while_it_is_assigned_and_hospital_once_it_acknowledged(
    town: Town, tmp_path: Path, wait_for: WaitFor
) -> None:
    async with town.open_hub():
        caller = await a_caller(town)
        case = caller.case
        crew, elsewhere = (town.issue(name, "unit").token for name in ("unit-1", "unit-2"))
        hospital = town.issue("first-hospital", "hospital").token

        async def may(token: str) -> bool:
            return await status_of(town, caller.camera("whep", token)) == 400

        await caller.say("consented")
        reads = await reads_of(town)
        assert not await may(crew)
        assert await reads_of(town) == reads, "who is refused has seen nothing"
        await town.act("answer_call", case=case)
        await town.act("amend_case", case=case, address="No. 1 Long Street")
        await town.act("assign_unit", case=case, unit="unit-1")
        reads = await reads_of(town)
        assert (await may(crew), await may(elsewhere)) == (True, False)
        assert await reads_of(town) == reads + 1, "the view is in the audit log"
        await town.act("choose_hospital", case=case, hospital="first-hospital")
        assert not await may(hospital), "chosen, and nobody there has seen it"
        ward, unit = Hospital("first-hospital", tmp_path), Vehicle("unit-1", tmp_path)
        async with town.join(ward, unit):
            seen = Acknowledged(hospital="first-hospital", role="charge nurse")
            ward.make(Draft("acknowledged", seen, case=case))
            await wait_for(lambda: may(hospital), "the hospital's right")
            assert not await may(town.issue("second-hospital", "hospital").token)
            await town.act("choose_hospital", case=case, hospital="second-hospital")
            assert not await may(hospital)
            await town.act("choose_hospital", case=case, hospital="first-hospital")
            assert not await may(hospital), "its word was of the time before"
            unit.make(Draft("run_ended", RunEnded(reason="cancelled"), case=case))

            async def is_over() -> bool:
                return not await may(crew)

            await wait_for(is_over, "the end of the crew's right")
        watched = [one for one in await caller.steps() if one[0] == "watched"]
        assert watched == [("watched", "unit", "unit-1"), ("watched", "hospital", "first-hospital")]


async def test_picture_flows_to_seat_and_crew_and_ends_for_whom_the_right_ends(
    town: Town,
    publish_tracks: Publish,
    view: View,
    draw: Callable[..., DrawnTrack],
    wait_for: WaitFor,
) -> None:
    async with town.open_hub():
        caller = await a_caller(town)
        case = caller.case
        await town.act("answer_call", case=case)
        await town.act("amend_case", case=case, address="No. 1 Long Street")
        await town.act("assign_unit", case=case, unit="unit-1")
        await caller.say("consented")
        await publish_tracks(caller.camera(), draw())
        seat = await view(caller.camera("whep", town.seat.token))
        crew = await view(caller.camera("whep", town.issue("unit-1", "unit").token))
        assert len(await seat.frames(3)) == len(await crew.frames(3)) == 3
        await town.act("release_unit", case=case, unit="unit-1", reason="sent elsewhere")
        await wait_for(lambda: len(caller.resource().viewers) == 1, "the crew's end")
        assert caller.resource().viewers[0].identity == "seat/seat-1"
        assert len(await seat.frames(3)) == 3
        await town.act("close_case", case=case, outcome="treated", status=409)
        await Outside(town).step("pbx-1", "hung_up")
        await town.act("close_case", case=case, outcome="treated")
        await wait_for(lambda: caller.resource() is None, "the end of everything")
        assert await status_of(town, caller.camera()) == 403
        await caller.say("consented", 409)


async def test_seat_that_stops_the_video_ends_its_source_and_only_a_seat_begins_again(
    town: Town,
    publish_tracks: Publish,
    draw: Callable[..., DrawnTrack],
    wait_for: WaitFor,
) -> None:
    async with town.open_hub():
        caller = await a_caller(town)
        await town.act("ask_video", case=caller.case, status=409)  # nobody would read it
        async with a_phone(town, caller.case) as phone:
            assert phone.heard[-1]["video"]["phase"] == "off"
            await town.act("ask_video", case=caller.case)
            assert (await phone.until("video"))["video"]["phase"] == "asked"
            await caller.say("consented")
            await publish_tracks(caller.camera(), draw())
            await wait_for(lambda: caller.resource() and caller.resource().live, "a picture")
            await town.act("stop_video", case=caller.case, reason="no part of this")
            await wait_for(lambda: caller.resource() is None, "the end of the source")
            while (told := await phone.until("video"))["video"]["phase"] != "stopped":
                assert told["video"]["phase"] == "on"
            await caller.say("consented", 409)
            await town.act("ask_video", case=caller.case)
            await caller.say("consented")
            assert await status_of(town, caller.camera()) == 400
        assert [step for step, _, _ in await caller.steps()] == [
            "asked", "consented", "stopped", "asked", "consented",
        ]  # fmt: skip


async def test_seat_that_looks_and_leaves_is_noted_as_seeing_no_more(
    town: Town, publish_tracks: Publish, view: View, draw: Callable[..., DrawnTrack],
    wait_for: WaitFor,
) -> None:  # fmt: skip
    async with town.open_hub():
        caller = await a_caller(town)
        await town.act("look_video", case=caller.case, status=409)
        await caller.say("consented")
        await publish_tracks(caller.camera(), draw())
        seat = await view(caller.camera("whep", town.seat.token))
        await seat.frames(1)
        await town.act("look_video", case=caller.case)
        assert (await caller.video())["looking"] == ["seat-1"]
        await town.act("look_video", case=caller.case, status=409)
        await town.act("blur_video", case=caller.case)
        assert (await caller.video())["looking"] == []
        again: dict[str, Any] = {"id": new_id(), "case": caller.case}
        await town.act("look_video", **again)
        assert (await town.act("look_video", **again))["repeated"]
        await seat.peer.close()

        async def is_blurred() -> bool:
            return not (await caller.video())["looking"]

        await wait_for(is_blurred, "the note that the seat is gone", 30)
        assert (await caller.steps())[1:] == [
            ("looked", "seat", "seat-1"), ("blurred", "seat", "seat-1"),
            ("looked", "seat", "seat-1"), ("blurred", "hub", "seat-1"),
        ]  # fmt: skip


async def test_seat_speaks_to_the_callers_page_alone_and_only_who_took_the_word(
    town: Town, publish_tracks: Publish, view: View, tone: Callable[[], Any], wait_for: WaitFor
) -> None:
    async with town.open_hub():
        caller = await a_caller(town)
        second = town.issue("seat-2", "seat").token
        await caller.say("consented")
        at = caller.media("whip", "seat", town.seat.token)
        assert await status_of(town, at) == 403, "it did not take the word"
        await town.act("speak_video", case=caller.case, on=True)
        assert await status_of(town, caller.media("whip", "seat", second)) == 403
        assert await status_of(town, caller.media("whip", "seat", caller.token)) == 403
        assert await status_of(town, caller.media("whep", "seat", second)) == 403
        await publish_tracks(at, tone())
        ear = await view(caller.media("whep", "seat", caller.token), "audio")
        assert len(await ear.frames(5, "audio")) == 5
        await town.act("speak_video", case=caller.case, on=False)
        await wait_for(
            lambda: not caller.resource("seat") or not caller.resource("seat").source, "silence"
        )
        assert (await caller.video())["voice"] == ""


async def test_image_reaches_the_callers_page_clean_and_is_in_memory_alone(
    town: Town, tmp_path: Path
) -> None:
    async with town.open_hub(), aiohttp.ClientSession() as http:
        caller = await a_caller(town)
        headers = {"Authorization": f"Bearer {town.seat.token}"}

        async def show(data: bytes, case: str = caller.case) -> int:
            url = f"{town.hub.url}/api/cases/{case}/caller-picture"
            body = io.BytesIO(data)
            async with http.post(url, data=body, headers=headers, ssl=town.trust) as answer:
                return answer.status

        assert await show(PICTURE) == 409, "nobody would see it"
        async with a_phone(town, caller.case) as phone:
            assert await show(PICTURE, new_id()) == 404
            assert await show(b"GIF89a") == 422
            assert await show(b"\x89PNG\r\n\x1a\n" + bytes(2**20)) == 422
            assert await show(PICTURE) == 200
            told = (await phone.until("video"))["video"]["picture"]
            async with http.get(f"{caller.link}/picture/{told['image']}", ssl=town.trust) as answer:
                shown = await answer.read()
                assert answer.headers["Cache-Control"] == "no-store"
                assert answer.content_type == "image/png"
            assert shown.startswith(PICTURE[:33])
            assert b"at home" not in shown
            await town.act("show_pictogram", case=caller.case, pictogram="recovery")
            assert (await phone.until("video"))["video"]["picture"] == {"pictogram": "recovery"}
            async with http.get(f"{caller.link}/picture/{told['image']}", ssl=town.trust) as answer:
                assert answer.status == 404
            await town.act("hide_picture", case=caller.case)
            assert (await phone.until("video"))["video"]["picture"] is None
        files = files_of(tmp_path)
        assert files, "the hub's and the broker's"
        assert not [path for path in files if b"IHDR" in path.read_bytes()]


async def test_second_page_of_a_caller_takes_over_and_the_first_ends_nothing_of_it(
    town: Town,
) -> None:
    async with town.open_hub():
        caller = await a_caller(town)
        second = Caller(town, caller.case, new_id())
        async with a_phone(town, caller.case) as phone:
            await caller.say("consented")
            await second.say("consented")
            while (told := await phone.until("video"))["video"]["session"] != second.session:
                assert told["video"]["session"] == caller.session
            await caller.say("withdrawn")
            assert (await caller.video())["phase"] == "on"
            await second.say("withdrawn", reason="page_closed")
            assert (await caller.video())["phase"] == "withdrawn"


async def test_consent_stands_when_the_hub_was_away_and_nobody_looks_any_more(
    town: Town, wait_for: WaitFor
) -> None:
    async with town.open_hub():
        caller = await a_caller(town)
        await caller.say("consented")
        await town.act("look_video", case=caller.case)
    async with town.open_hub():
        found = await caller.video()
        assert (found["phase"], found["looking"]) == ("on", ["seat-1"])
        async with a_console(town, caller.case) as console:
            while console.heard[-1]["caller_video"]["looking"]:
                await console.until("detail", case=caller.case)
        assert await status_of(town, caller.camera()) == 400
