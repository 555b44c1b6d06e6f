"""A page in one piece: what is joined, what is left as it is, and what is refused."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from dispatch.caller_bundle import AT, MESSAGES, CallerBundle, static_folders
from streams.errors import ConfigError
from streams.packed_files import packed
from streams.page_bundle import bundle

LIGHT_BYTES = 150_000
DOCUMENT = """<!doctype html>
<head>
  <link rel="stylesheet" href="/s/a.css">
  <script type="module" src="/s/main.js"></script>
</head>
"""


def a_page(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text, encoding="utf-8")
    (folder / "a.css").write_text("/* words */\np { color: red; }\n", encoding="utf-8")
    document = folder / "index.html"
    document.write_text(DOCUMENT, encoding="utf-8")
    return document


def test_callers_page_is_one_script_and_far_below_its_limit() -> None:
    folders = static_folders()
    made = bundle(folders["/static/page/"] / "caller" / "index.html", folders, AT, MESSAGES)
    page = made.page.text.decode()
    (main,) = re.findall(r'<script type="module" src="([^"]+)">', page)
    assert "stylesheet" not in page
    at_once = sum(len(packed(one.text, "gzip")) for one in (made.page, made.scripts[main]))
    assert at_once < LIGHT_BYTES / 3
    scripts = [packed(one.text, "gzip") for one in made.scripts.values()]
    assert at_once + sum(map(len, scripts)) < LIGHT_BYTES
    assert b"globalThis.forerunMessages" in made.scripts[main].text
    assert CallerBundle()._bundle is not None, "the hub serves it so"


def test_every_text_that_the_callers_page_has_of_its_own_goes_with_it() -> None:
    folders = static_folders()
    document = folders["/static/page/"] / "caller" / "index.html"
    made = bundle(document, folders, AT, MESSAGES)
    script = next(one.text for one in made.scripts.values() if b"forerunMessages" in one.text)
    carried = json.loads(script.decode().split("=", 1)[1].split(";\n", 1)[0])
    for language in ("en", "zh-CN"):
        own = json.loads((document.parent / "messages" / f"{language}.json").read_text("utf-8"))
        assert set(own) - set(carried[language]) == set()
        assert "age.seconds" in carried[language]


def test_modules_run_once_in_the_order_of_their_needs_and_parts_share_them(tmp_path: Path) -> None:
    document = a_page(
        tmp_path,
        main_js='/** doc: import("./no.js") */\nimport { a as b } from "./a.js";\n'
        'export const x = () => import("./late.js");\nawait b();\n',
        a_js='// a comment\nexport const a = () => "https://x//y";\n',
        late_js='import { a } from "./a.js";\nexport function late() { return a(); }\n',
    )
    made = bundle(document, {"/s/": tmp_path}, "/b/")
    main, late = sorted((one.text.decode() for one in made.scripts.values()), key=len)[::-1]
    assert main.index('F["/s/a.js"] ??=') < main.index('F["/s/main.js"] ??= await')
    assert "no.js" not in main
    assert '"https://x//y"' in main
    assert "a comment" not in main
    assert 'F["/s/a.js"];' in late, "it is there already"
    assert "export default" in late
    assert re.search(r'import\("/b/\w+\.js"\)\.then', main)
    assert "<style>p { color: red; }" in made.page.text.decode()


@pytest.mark.parametrize(
    ("main", "word"),
    [
        ('import * as all from "./a.js";\n', "cannot be joined"),
        ('import { a } from "./missing.js";\n', "missing.js"),
        ('import { a } from "../../etc/passwd";\n', "passwd"),
        ('import { x } from "./main.js";\n', "need each other"),
    ],
)
def test_what_cannot_be_joined_is_refused_by_name(tmp_path: Path, main: str, word: str) -> None:
    document = a_page(tmp_path, main_js=main, a_js="export const a = 1;\n")
    with pytest.raises(ConfigError, match=word):
        bundle(document, {"/s/": tmp_path}, "/b/")
