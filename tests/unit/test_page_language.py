"""What all pages share, read without a browser: message catalogues and colour tokens."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
TOKENS = REPOSITORY / "streams" / "static" / "tokens.css"


def catalogues() -> list[tuple[Path, Path]]:
    """Returns the English and the Chinese catalogue of every package."""
    found = sorted(REPOSITORY.glob("*/static/**/messages/en.json"))
    return [(path, path.with_name("zh-CN.json")) for path in found if "vendor" not in path.parts]


@pytest.mark.parametrize(("english", "chinese"), catalogues(), ids=lambda p: p.parts[-4])
def test_catalogues_have_the_same_keys_and_values_in_both_languages(
    english: Path, chinese: Path
) -> None:
    texts = [json.loads(path.read_text(encoding="utf-8")) for path in (english, chinese)]
    assert texts[0].keys() == texts[1].keys()
    for key, text in texts[0].items():
        holes = [sorted(re.findall(r"{\w+}", words)) for words in (text, texts[1][key])]
        assert holes[0] == holes[1], key


def luminance(colour: str) -> float:
    """Relative luminance of #rrggbb (WCAG 2.2)."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two colours (WCAG 2.2)."""
    bright, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_tokens_keep_the_contrast_that_pages_promise(theme: str) -> None:
    css = TOKENS.read_text(encoding="utf-8")
    block = css.split(f':root[data-theme="{theme}"]')[1].split("}")[0]
    token = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block))
    for ground in ("page", "surface", "raised"):
        assert contrast(token["text"], token[ground]) >= 7  # values
        assert contrast(token["muted"], token[ground]) >= 4.5  # the rest
    for level in ("high", "medium", "low"):
        assert contrast(token[f"alarm-{level}-on"], token[f"alarm-{level}-fill"]) >= 7
        assert contrast(token[f"alarm-{level}-ink"], token["surface"]) >= 7
        assert contrast(token[f"alarm-{level}-edge"], token["surface"]) >= 2.5
    assert contrast(token["ecg-trace"], token["ecg-paper"]) >= 7
    assert contrast(token["action-on"], token["action"]) >= 7
    light, dark = re.findall(r"--series-1: (#[0-9a-f]{6})", css)
    assert contrast({"light": light, "dark": dark}[theme], token["surface"]) >= 3
