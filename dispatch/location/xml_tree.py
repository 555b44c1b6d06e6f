"""A tree of XML from strangers, read with expat and without namespaces. Pure.

Why not ElementTree or lxml: both refuse a document with a prefix that nobody declares, and
softphones and gateways send ``<gs:Point>`` without ``xmlns:gs``; the place in it is plain all the
same. Why not defusedxml: it guards expat by the same handlers that are set here. A document type
is refused outright, for PIDF-LO and HELD have none, and without it there are no entities to
expand and nothing external to fetch. Size, depth and number of elements are bounded.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NoReturn
from xml.parsers import expat

from dispatch.location.errors import LocationError

LARGEST = 262_144
"""Bytes of a document; real ones have two thousand."""
DEEPEST = 40
MOST_ELEMENTS = 5_000


@dataclass(slots=True)
class Element:
    """An element by its local name.

    Attributes:
        name: Without prefix, as it was written.
        attributes: By local name.
        pieces: Its own text, not that of its children.
    """

    name: str
    attributes: dict[str, str] = field(default_factory=dict)
    children: list[Element] = field(default_factory=list)
    pieces: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """Its own text without white space around it."""
        return "".join(self.pieces).strip()

    def within(self, name: str) -> Iterator[Element]:
        """Yield all elements below of that local name, in document order."""
        pending = list(reversed(self.children))
        while pending:
            element = pending.pop()
            if element.name == name:
                yield element
            pending.extend(reversed(element.children))

    def all(self, name: str) -> list[Element]:
        """Return the children of that local name."""
        return [child for child in self.children if child.name == name]

    def only(self, name: str) -> Element | None:
        """Return the child of that local name, if any.

        Raises:
            LocationError: There are several that say different things.
        """
        found = self.all(name)
        if len({child.text for child in found}) > 1:
            raise LocationError(name, "given twice, differently")
        return found[0] if found else None


def read_xml(document: bytes | str) -> tuple[Element, tuple[str, ...]]:
    """Read a document.

    Returns:
        The root, and warnings about it (prefixes that it does not declare).

    Raises:
        LocationError: It is no XML, too large, or has a document type.
    """
    if len(document) > LARGEST:
        raise LocationError("document", f"longer than {LARGEST} bytes")
    encoding = None
    if isinstance(document, str):
        document, encoding = document.encode("utf-8", "replace"), "utf-8"
    builder = _Builder()
    try:
        parser = expat.ParserCreate(encoding)
        parser.buffer_text = True
        parser.StartElementHandler = builder.start
        parser.EndElementHandler = builder.end
        parser.CharacterDataHandler = builder.characters
        parser.StartDoctypeDeclHandler = builder.refuse
        parser.Parse(document.lstrip(), True)
    except (expat.ExpatError, ValueError, LookupError) as error:  # the last two: its encoding
        raise LocationError("document", f"not XML: {error}") from None
    if builder.root is None:
        raise LocationError("document", "no element in it")
    unknown = sorted(builder.used - builder.declared)
    return builder.root, tuple(f"prefix {name[:40]} is not declared" for name in unknown[:5])


class _Builder:
    """Builds the tree while expat reads."""

    def __init__(self) -> None:
        self.root: Element | None = None
        self.used: set[str] = set()
        self.declared: set[str] = {"xml", "xmlns", ""}
        self._open: list[Element] = []
        self._count = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._count += 1
        if self._count > MOST_ELEMENTS or len(self._open) >= DEEPEST:
            raise LocationError(
                "document", f"more than {MOST_ELEMENTS} elements, or deeper than {DEEPEST}"
            )
        element = Element(self._local(name))
        for key, value in attributes.items():
            if key.startswith("xmlns:"):
                self.declared.add(key[6:])
            elif key != "xmlns":
                element.attributes[self._local(key)] = value
        if self._open:
            self._open[-1].children.append(element)
        else:
            self.root = element
        self._open.append(element)

    def end(self, name: str) -> None:
        del name
        self._open.pop()

    def characters(self, text: str) -> None:
        self._open[-1].pieces.append(text)

    def refuse(self, name: str, *others: object) -> NoReturn:
        del name, others
        raise LocationError("DOCTYPE", "not allowed here")

    def _local(self, name: str) -> str:
        prefix, colon, local = name.partition(":")
        if not colon:
            return name
        self.used.add(prefix)
        return local
