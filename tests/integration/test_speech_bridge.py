"""The bridge with real engines: recorded speech becomes text, what a caller writes a voice."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import av
import pytest

from bench.speech_clips import Clip
from dispatch.speech.engine import SPEAKING_RATE_HZ
from dispatch.spoken_turns import MASK
from streams.codec import any_body
from streams.text_messages import TextSpoken
from tests.call_sources import Outside
from tests.hub_town import Town, a_town
from tests.speech_bridge import MANDARIN, NUMBERS, SENTENCE, SPEECH, an_ear, clips_of, need_extra
from tests.text_callers import a_phone
from tests.waiting import until


@pytest.fixture
def clips(shared_data: Path) -> dict[str, Clip]:
    need_extra()
    return clips_of(shared_data)


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    async with a_town(tmp_path) as found:
        yield found


async def turns(town: Town, case: str) -> list[dict[str, Any]]:
    found: dict[str, Any] = await town.get(f"/api/cases/{case}")
    return list(found["talk"]["turns"])


async def spoken_of(town: Town, case: str) -> list[TextSpoken]:
    facts = await town.hub._parts.journal.facts(case=case, kinds=["text_spoken"], limit=None)
    bodies = [any_body(fact.envelope) for fact in facts]
    return [body for body in bodies if isinstance(body, TextSpoken)]


async def test_speech_without_doubt_stands_in_front_of_the_caller_as_draft_then_as_turn(
    town: Town, clips: dict[str, Clip]
) -> None:
    async with town.open_hub(speech=SPEECH):
        case = await Outside(town).ring()
        async with a_phone(town, case) as phone, an_ear(town) as seat:
            await seat.ready("hears")
            await seat.say("listen", case=case, language="en")
            assert (await seat.until("listening"))["usable"]
            async with asyncio.TaskGroup() as group:
                group.create_task(seat.play(clips[SENTENCE]))
                draft = await phone.until("writing")
                while not draft["text"]:
                    draft = await phone.until("writing")
                said = (await phone.until("turn"))["turn"]
        assert said["text"].lower().startswith("he was not an ill")
        assert (said["who"], said["way"], said["finished"]) == ("dispatcher", "speech", True)
        (stored,) = await turns(town, case)
        assert stored["heard"] == stored["text"]
        assert 0.6 <= stored["confidence"] <= 1
        length_ms = 1000 * clips[SENTENCE].seconds
        assert 0 < stored["ended_ms"] - stored["begun_ms"] <= length_ms + 500
        assert stored["latency_ms"] > 0


async def test_numbers_stand_nowhere_in_front_of_the_caller_before_a_person_has_looked(
    town: Town, clips: dict[str, Clip]
) -> None:
    async with town.open_hub(speech=SPEECH):
        case = await Outside(town).ring()
        async with a_phone(town, case) as phone, an_ear(town) as seat:
            await seat.ready("hears", "speaks")
            await seat.say("voice", case=case, language="en")
            await seat.say("listen", case=case, language="en")
            await seat.play(clips[NUMBERS])
            held = await seat.until("heard", wait="doubts")
            assert {one["kind"] for one in held["doubts"]} <= {"number", "phone"}
            read_back = await seat.until("speaking", why="read_back")
            assert any(one["read_back"] in read_back["text"] for one in held["doubts"])
            await seat.say("discard", case=case, turn="0" * 26)  # not this one
            field = {"case": case, "turn": held["turn"], "way": "speech", "text": "1, 2, 4."}
            await town.act(action="say_text", heard=held["text"], confidence=0.9, **field)
            said = (await phone.until("turn"))["turn"]
            await seat.until("settled", turn=held["turn"])
        shown = [one["text"] for one in phone.heard if one["type"] == "writing"]
        words = ("1", "2", "3", "one", "two", "three")
        assert all(not any(word in text.lower() for word in words) for text in shown), shown
        assert any(MASK in text for text in shown)
        assert said["text"] == "1, 2, 4."
        (stored,) = await turns(town, case)
        assert (stored["heard"], stored["text"]) == (held["text"], "1, 2, 4.")


async def test_mandarin_is_heard_as_mandarin(town: Town, clips: dict[str, Clip]) -> None:
    async with town.open_hub(speech=SPEECH):
        case = await Outside(town).ring()
        async with a_phone(town, case), an_ear(town) as seat:
            await seat.ready("hears")
            await seat.say("listen", case=case, language="zh")
            await seat.play(clips[MANDARIN])
            await seat.say("pause")
            async with asyncio.timeout(60):
                heard = await seat.until("heard")
                while "广州" not in heard["text"]:
                    seat.told.remove(heard)
                    heard = await seat.until("heard")
        assert heard["language"] == "zh"


async def test_what_a_caller_writes_is_spoken_sentence_by_sentence_and_noted(
    town: Town, clips: dict[str, Clip]
) -> None:
    async with town.open_hub(speech=SPEECH):
        case = await Outside(town).ring()
        async with a_phone(town, case) as phone, an_ear(town) as seat:
            await seat.ready("speaks")
            await seat.say("voice", case=case, language="en")
            await phone.write("My wife fell down. She does not an")
            first = await seat.until("speaking")
            assert (first["why"], first["text"]) == ("sentence", "My wife fell down.")
            await seat.until("spoken", number=first["number"], complete=True)
            await seat.say("started", number=first["number"])
            await phone.write("swer\n")
            second = await seat.until("speaking", text="She does not answer")
            await seat.until("spoken", number=second["number"])
            await phone.write("我在人民路。")
            await seat.until("speaking", text="我在人民路。")
        assert seat.octets[first["number"]] > SPEAKING_RATE_HZ, "half a second of sound"
        facts = await until(lambda: spoken_of(town, case), "a note of what was spoken")
        assert facts[0].text == "My wife fell down."
        assert facts[0].begun_ns >= facts[0].written_ns


async def test_step_that_is_to_be_done_is_spoken_for_the_caller_while_it_is_the_current_one(
    town: Town, clips: dict[str, Clip]
) -> None:
    async with town.open_hub(speech=SPEECH), aiohttp.ClientSession() as http:
        case = await Outside(town).ring()
        async with an_ear(town) as seat:
            await seat.ready("speaks")
        await town.act("start_guide", case=case)
        lines = await town.get(f"/api/cases/{case}/timeline")
        (step,) = [line["data"]["step"] for line in lines if line["kind"] == "guidance_step"]
        at = f"{town.hub.link_for(case)}/step"
        for language in ("en", "zh", "en"):
            query = {"step": step, "language": language}
            async with http.get(at, params=query, ssl=town.trust) as answer:
                assert (answer.status, answer.content_type) == (200, "audio/mpeg")
                with av.open(io.BytesIO(await answer.read()), "r") as sound:
                    assert sum(frame.samples for frame in sound.decode(audio=0)) > SPEAKING_RATE_HZ
        async with http.get(at, params={"step": "another"}, ssl=town.trust) as answer:
            assert answer.status == 404


async def test_without_engines_the_page_is_told_and_text_goes_on(town: Town) -> None:
    async with town.open_hub():
        case = await Outside(town).ring()
        async with a_phone(town, case) as phone, an_ear(town) as seat:
            states = await seat.until("engines")
            assert [states[one]["condition"] for one in ("hears", "speaks")] == ["off", "off"]
            assert states["hears"]["reason"] == "switched_off"
            await seat.say("voice", case=case, language="en")
            await seat.say("listen", case=case)
            assert not (await seat.until("listening"))["usable"]
            await seat.socket.send_bytes(bytes(1024))
            await seat.socket.send_bytes(bytes(1_000_00))  # too much at once: left out
            await seat.socket.send_bytes(b"odd")
            await phone.write("Help.\n")
            assert (await seat.until("unspoken"))["why"] == "switched_off"
            await seat.say("listen", case="0" * 26)
            assert "case" in (await seat.until("error"))["error"]
            await seat.say("nonsense")
            await seat.until("error", error="a message of type 'nonsense' is not understood")
        assert [one["text"] for one in await turns(town, case)] == ["Help."]
