"""What can go wrong at the hub, beyond the shared kernel's errors.

    ForerunError
    └── DispatchError          a request that the hub does not do, told to who asked
        ├── UnknownError       no such case, unit, hospital or action (status 404)
        └── ConflictError      it would silently undo something: says what (status 409)

None of them goes away by repeating the same request.
"""

from __future__ import annotations

from typing import ClassVar

from streams.errors import ForerunError


class DispatchError(ForerunError):
    """A request that the hub does not do.

    Attributes:
        status: The HTTP status that tells it.
    """

    reason = "request"
    status: ClassVar[int] = 400


class UnknownError(DispatchError):
    """No such case, unit or hospital.

    Attributes:
        what: ``case``, ``unit`` or ``hospital``.
        name: The name that is not known.
    """

    reason = "unknown"
    status = 404

    def __init__(self, what: str, name: str, known: str = "") -> None:
        hint = f"; known are {known}" if known else ""
        super().__init__(f"no {what} {name!r}{hint}")
        self.what = what
        self.name = name


class ConflictError(DispatchError):
    """It would silently undo something that stands.

    Attributes:
        conflict: What stands in the way, for the page: ``kind`` and the names concerned.
    """

    reason = "conflict"
    status = 409

    def __init__(self, text: str, **conflict: str) -> None:
        super().__init__(text)
        self.conflict = conflict
