"""A page in one piece for slow phones: its modules, styles and texts joined as the server starts.

The page's sources stay native modules, each its own file. Over a slow link each file costs a round
trip, so for a page that must be there at once they are joined here: what the entry module imports
becomes one script, what it loads later (``import("./map.js")``) one script each that shares the
first one's modules. No tool and no step of a build: the house's style of writing modules is simple
enough for a few expressions, and what does not fit is refused with its name.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from streams.errors import ConfigError

LANGUAGES = ("en", "zh-CN")
_COMMENTS = re.compile(r"/\*\*.*?\*/|^[ \t]*/\*.*?\*/|^[ \t]*//[^\n]*$", re.DOTALL | re.MULTILINE)
_BLANK = re.compile(r"^[ \t]*\n|^[ \t]+", re.MULTILINE)
_IMPORT = re.compile(r'^import\s*(?:([\w$]+)|\{([^}]*)\})\s*from\s*"([^"]+)";?', re.MULTILINE)
_MINIFIED_IMPORT = re.compile(r'(?<![\w.$])import\{([^}]*)\}from"([^"]+)";')
_PASSED_ON = re.compile(r'(?<![\w.$])export\s*\{([^}]*)\}\s*from\s*"([^"]+)";?')
_LIST = re.compile(r"(?<![\w.$])export\s*\{([^}]*)\};?")
_DEFAULT = re.compile(r"(?<![\w.$])export default ")
_DECLARED = re.compile(
    r"^export ((?:async )?function\*?|class|const|let) ([\w$]+)", re.MULTILINE
)  # fmt: skip
_LATER = re.compile(r'(?<![\w.$])import\("([^"]+)"\)')
_LATER_TEMPLATE = re.compile(r"(?<![\w.$])import\(`(\.[^`$]*/)")
_LEFT_OVER = re.compile(r"^(?:import\b[^(]|export\b)", re.MULTILINE)
_AWAIT = re.compile(r"^await\b", re.MULTILINE)
_STYLE = re.compile(r'^ *<link rel="stylesheet" href="([^"]+)">\n', re.MULTILINE)
_SCRIPT = re.compile(r'^ *<script type="module" src="([^"]+)"></script>\n', re.MULTILINE)
_STYLE_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_KEY_PATTERN = re.compile(r"`((?:[\w.]|\$\{[^}`]*\})+)`")


@dataclass
class _Module:
    """One file as a function that is run once.

    Attributes:
        url: Its address.
        imports: Addresses that it needs before it runs.
        code: The function's body.
        exports: Exported names, with the names within.
        later: Addresses that it may load, as they stand in the code.
        waits: Whether it awaits something as it runs.
    """

    url: str
    imports: list[str]
    code: str
    exports: dict[str, str]
    later: dict[str, str]
    waits: bool


@dataclass(frozen=True)
class Piece:
    """What is served.

    Attributes:
        text: As UTF-8.
        kind: Its content type.
    """

    text: bytes
    kind: str


@dataclass
class PageBundle:
    """A page in one piece.

    Attributes:
        page: The document.
        scripts: Its scripts by address; the name changes with what is in them.
        script_source: What the content policy has to allow as its source of scripts.
    """

    page: Piece
    scripts: dict[str, Piece] = field(default_factory=dict)
    script_source: str = "'self'"


def bundle(
    document: Path,
    folders: Mapping[str, Path],
    at: str,
    messages: tuple[str, ...] = (),
    early: str = "",
) -> PageBundle:
    """Join a page.

    Args:
        document: Its HTML, with links to styles and one module script.
        folders: What is served under which address, such as ``/static/shared/``.
        at: Under which address the scripts are served, with a slash at its end.
        messages: Addresses of the folders of its texts, the more general first.
        early: A line that the document itself runs before any script is there.

    Raises:
        ConfigError: A file is missing, or written in a way that cannot be joined; names it.
    """
    text = document.read_text(encoding="utf-8")
    entry = _SCRIPT.search(text)
    if entry is None:
        raise ConfigError(f"{document} has no module script")
    return _Joining(folders, at).join(text, entry, messages, early)


class _Joining:
    def __init__(self, folders: Mapping[str, Path], at: str) -> None:
        self._folders = folders
        self._at = at
        self._modules: dict[str, _Module] = {}
        self._scripts: dict[str, Piece] = {}

    def join(
        self, text: str, entry: re.Match[str], messages: tuple[str, ...], early: str
    ) -> PageBundle:
        main = self._ordered(entry[1])
        pieces = dict.fromkeys(self._loaded_later(main), "")
        for url in pieces:
            self._ordered(url)
        texts = self._texts(messages)
        for url in pieces:
            pieces[url] = self._name(url)
        for url, name in pieces.items():
            code = self._script(self._ordered(url), main, pieces) + f"export default {_id(url)};\n"
            self._scripts[name] = Piece(code.encode(), "text/javascript")
        start = f"globalThis.forerunMessages={texts};\n" if messages else ""
        code = start + self._script(main, [], pieces)
        name = f"{self._at}{_digest(code)}.js"
        self._scripts[name] = Piece(code.encode(), "text/javascript")
        styles = "".join(self._style(found[1]) for found in _STYLE.finditer(text))
        page = _SCRIPT.sub("", _STYLE.sub("", text))
        head = f"  <script>{early}</script>\n" if early else ""
        head += f'  <script type="module" src="{html.escape(name)}"></script>\n'
        head += f"  <style>{styles}</style>\n</head>"
        made = PageBundle(
            Piece(page.replace("</head>", head, 1).encode(), "text/html"), self._scripts
        )
        if early:
            digest = base64.b64encode(hashlib.sha256(early.encode()).digest()).decode()
            made.script_source = f"'self' 'sha256-{digest}'"
        return made

    def _read(self, url: str) -> str:
        for begin, folder in self._folders.items():
            if url.startswith(begin):
                path = folder / url.removeprefix(begin)
                if path.is_file() and folder in path.parents:
                    return path.read_text(encoding="utf-8")
        raise ConfigError(f"a page needs {url}, which is not there")

    def _module(self, url: str) -> _Module:
        if url not in self._modules:
            self._modules[url] = _parse(url, self._read(url))
        return self._modules[url]

    def _ordered(self, url: str) -> list[str]:
        """Return a module and all that it needs, in the order in which they run."""
        found: list[str] = []

        def visit(one: str, above: tuple[str, ...]) -> None:
            if one in above:
                raise ConfigError(f"modules need each other: {' -> '.join((*above, one))}")
            if one in found:
                return
            for other in self._module(one).imports:
                visit(other, (*above, one))
            found.append(one)

        visit(url, ())
        return found

    def _loaded_later(self, main: list[str]) -> list[str]:
        found: list[str] = []
        waiting = list(main)
        while waiting:
            for url in self._module(waiting.pop()).later.values():
                if url not in found:
                    found.append(url)
                    waiting += self._ordered(url)
        return found

    def _name(self, url: str) -> str:
        """Return the address of a part; it changes with each source, as all may be in it."""
        sources = "".join(sorted(module.code for module in self._modules.values()))
        return f"{self._at}{_digest(url + sources)}.js"

    def _script(self, modules: list[str], there: list[str], pieces: Mapping[str, str]) -> str:
        """Return modules as one script; those that are there already are only named."""
        lines = ["const F = globalThis.forerunModules ??= {};\n"]
        for url in modules:
            module = self._module(url)
            known = f"const {_id(url)} = F[{json.dumps(url)}]"
            if url in there:
                lines.append(f"{known};\n")
                continue
            code = module.code
            for said, later in module.later.items():
                load = f'import("{pieces[later]}").then((found) => found.default)'
                code = code.replace(f'import("{said}")', load)
            names = ", ".join(f"{name}: {inner}" for name, inner in module.exports.items())
            begin, wait = ("async ()", "await ") if module.waits else ("()", "")
            lines.append(f"{known} ??= {wait}({begin} => {{\n{code}\nreturn {{{names}}};\n}})();\n")
        return "".join(lines)

    def _style(self, url: str) -> str:
        text = _STYLE_COMMENT.sub("", self._read(url))
        if "url(" in text or "@import" in text or "</" in text:
            raise ConfigError(f"{url} names other files: it cannot stand in the document")
        return _BLANK.sub("", text)

    def _texts(self, folders: tuple[str, ...]) -> str:
        """Return the texts that the modules may show, in all languages."""
        sources = "".join(module.code for module in self._modules.values())
        found: dict[str, dict[str, Any]] = {}
        for language in LANGUAGES:
            known: dict[str, str] = {}
            for folder in folders:
                known |= json.loads(self._read(f"{folder}{language}.json"))
            found[language] = {key: text for key, text in known.items() if _is_used(key, sources)}
        return json.dumps(found, ensure_ascii=False, separators=(",", ":"))


def _parse(url: str, source: str) -> _Module:
    """Take a module apart."""
    code = _COMMENTS.sub("", source)
    waits = bool(_AWAIT.search(code))  # not indented: by the module itself
    code = _BLANK.sub("", code)
    imports: list[str] = []
    exports: dict[str, str] = {}
    before: list[str] = []

    def needs(said: str, names: str) -> str:
        other = _resolve(url, said)
        imports.append(other)
        before.append(f"const {{{_swapped(names)}}} = {_id(other)};")
        return ""

    def passes_on(found: re.Match[str]) -> str:
        other = _resolve(url, found[2])
        imports.append(other)
        for inner, name in _pairs(found[1]):
            exports[name] = f"{_id(other)}.{inner}"
        return ""

    def lists(found: re.Match[str]) -> str:
        exports.update({name: inner for inner, name in _pairs(found[1])})
        return ""

    def declares(found: re.Match[str]) -> str:
        exports[found[2]] = found[2]
        return f"{found[1]} {found[2]}"

    code = _IMPORT.sub(
        lambda found: needs(found[3], f"default as {found[1]}" if found[1] else found[2]), code
    )
    code = _MINIFIED_IMPORT.sub(lambda found: needs(found[2], found[1]), code)
    code = _LIST.sub(lists, _PASSED_ON.sub(passes_on, code))
    code = _DECLARED.sub(declares, code)
    if _DEFAULT.search(code):
        code = _DEFAULT.sub("const standard = ", code, count=1)
        exports["default"] = "standard"
    later = {said: _resolve(url, said) for said in _LATER.findall(code)}
    code = _LATER_TEMPLATE.sub(lambda found: f"import(`{_resolve(url, found[1])}/", code)
    code = code.replace("import.meta.url", f"new URL({json.dumps(url)}, location.href).href")
    left_over = _LEFT_OVER.search(code)
    if left_over is not None:
        raise ConfigError(f"{url}: {code[left_over.start() :][:60]!r} cannot be joined")
    whole = "\n".join([*before, code])
    return _Module(url, imports, whole, exports, later, waits=waits)


def _resolve(url: str, said: str) -> str:
    if said.startswith("/"):
        return said
    return posixpath.normpath(posixpath.join(posixpath.dirname(url), said))


def _pairs(names: str) -> list[tuple[str, str]]:
    """Return the names of a list as (what stands first, what it is called)."""
    found = []
    for one in filter(None, (part.strip() for part in names.split(","))):
        first, _, second = one.partition(" as ")
        found.append((first.strip(), second.strip() or first.strip()))
    return found


def _swapped(names: str) -> str:
    return ", ".join(
        first if first == second else f"{first}: {second}" for first, second in _pairs(names)
    )


def _id(url: str) -> str:
    return f"m_{_digest(url)}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _is_used(key: str, sources: str) -> bool:
    """Whether the code can show a text: it names the key, or makes keys of that form."""
    if f'"{key}"' in sources:
        return True
    for pattern in set(_KEY_PATTERN.findall(sources)):
        if "." in pattern:
            parts = [re.escape(part) for part in re.split(r"\$\{[^}]*\}", pattern)]
            if len(parts) > 1 and re.fullmatch(".+".join(parts), key):
                return True
    return False
