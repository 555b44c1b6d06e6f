"""What can be wrong with what a source says about a place.

    DispatchError
    └── LocationError        yields no position; names the field, for the journal and the page
        └── NoLocationError  the source says itself that it has none; what else it said is kept

Trying the same bytes again helps never.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dispatch.errors import DispatchError

if TYPE_CHECKING:
    from dispatch.location.reading import Reading


_LONGEST_FIELD = 80
_LONGEST_TEXT = 500


class LocationError(DispatchError):
    """A message yields no position.

    Attributes:
        field: The attribute, element or header that is to blame, as the source spells it.
        text: What is wrong with it, in a sentence's part.
    """

    reason = "location"

    def __init__(self, field: str, text: str) -> None:
        # Both come from strangers: an element's name alone can be as long as the document.
        self.field = field[:_LONGEST_FIELD]
        self.text = text[:_LONGEST_TEXT]
        super().__init__(f"{self.field}: {self.text}")


class NoLocationError(LocationError):
    """The source says that it knows no place: no mistake, and no position either.

    Attributes:
        reading: Who says so (number, IMSI ...), without positions.
    """

    reason = "no_location"

    def __init__(self, field: str, text: str, reading: Reading) -> None:
        super().__init__(field, text)
        self.reading = reading
