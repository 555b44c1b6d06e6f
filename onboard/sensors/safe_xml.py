"""XML from outside, read without letting it do anything.

A document type declaration is refused before anything else is read: entities that grow without
bound or fetch files need one, and no format read here has one.
"""

from __future__ import annotations

import xml.parsers.expat
from collections.abc import Iterator
from xml.etree import ElementTree

DEEPEST = 64
"""Elements within each other; no format read here has more than ten."""


def check(data: bytes) -> None:
    """Check that these bytes are well-formed XML that can do no harm.

    Raises:
        ValueError: They are not well-formed, have a document type declaration, or are nested
            deeper than `DEEPEST`; the text says which.
    """
    parser = xml.parsers.expat.ParserCreate()
    depth = 0

    def refuse(name: str, *_: object) -> None:
        raise ValueError(f"document type declaration {name!r} is not taken")

    def enter(*_: object) -> None:
        nonlocal depth
        depth += 1
        if depth > DEEPEST:
            raise ValueError(f"more than {DEEPEST} elements within each other")

    def leave(_: object) -> None:
        nonlocal depth
        depth -= 1

    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = enter
    parser.EndElementHandler = leave
    try:
        parser.Parse(data, True)
    except (xml.parsers.expat.ExpatError, LookupError) as error:  # LookupError: encoding
        raise ValueError(f"not well-formed XML: {error}") from error


def parse(data: bytes) -> ElementTree.Element:
    """Return the root element of an XML document in any encoding that it declares.

    Raises:
        ValueError: It is not well-formed, or `check` refuses it.
    """
    check(data)
    try:
        return ElementTree.fromstring(data)  # noqa: S314  (checked above)
    except (ElementTree.ParseError, LookupError) as error:
        raise ValueError(f"not well-formed XML: {error}") from error


def local_name(element: ElementTree.Element) -> str:
    """Return the tag without its namespace."""
    return element.tag.rpartition("}")[2]


def descendants(element: ElementTree.Element, name: str) -> Iterator[ElementTree.Element]:
    """Give every element of this local name below (and with) ``element``, in their order."""
    return (child for child in element.iter() if local_name(child) == name)
