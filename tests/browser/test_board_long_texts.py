"""Long words on the board: what must be read at a glance stays whole and in view."""

from __future__ import annotations

from typing import Any

import pytest

from streams.messages import Acknowledged, Pathway
from tests.browser.test_board import HERE, Er, OpenPage, Until, er

__all__ = ["er"]  # a fixture

LONG_ROLE = "consultant of the emergency department " * 4
IN_CARD = """(() => {
  const card = document.querySelector('.arrival').getBoundingClientRect();
  const names = ['.acknowledge', '.seen-by', '.needs', '.need', '.arrival .severity', '.eta'];
  return names.filter((name) => {
    const box = document.querySelector(name).getBoundingClientRect();
    return box.width < 40 || box.right > card.right || box.bottom > card.bottom
      || document.elementFromPoint(box.left + 10, box.top + box.height / 2)?.closest(name) === null;
  });
})()"""


@pytest.mark.parametrize("count", [1, 4])
async def test_board_long_role_and_complaint_leave_acknowledge_and_needs_in_view(
    er: Er, open_page: OpenPage, until: Until, screenshot: Any, count: int
) -> None:
    for number in range(1, count + 1):
        case = await er.patient(complaint="chest pain " * 270, unit=f"unit-{number}", eta_s=300)
        await er.hub.fact(case, Acknowledged(hospital=HERE, role=LONG_ROLE), "acknowledged", HERE)
    page = await open_page(er.url, width=1280, height=800)
    await until(page, f"document.querySelectorAll('.arrival .seen').length === {count}")
    await screenshot(page, f"board-long-role-{count}")
    assert await page.evaluate(IN_CARD) == []
    assert LONG_ROLE.strip() in (await page.get_attribute(".seen", "title") or "")


@pytest.mark.parametrize("pathway", ["obstetric", "paediatric", "cardiac_arrest"])
async def test_board_headline_of_a_pathway_is_whole_on_cards_side_by_side(
    er: Er, open_page: OpenPage, until: Until, pathway: Pathway
) -> None:
    for number in range(1, 4):
        await er.patient(pathway=pathway, unit=f"unit-{number}", eta_s=60 * number)
    for width, height in ((1920, 1080), (1280, 800)):
        page = await open_page(er.url, width=width, height=height)
        await until(page, "document.querySelectorAll('.arrival').length === 3")
        cut = (
            "[...document.querySelectorAll('.arrival h2')].map(e => e.scrollWidth - e.clientWidth)"
        )
        assert max(await page.evaluate(cut)) <= 0
