"""What can go wrong in the shared kernel, and whether trying again helps.

    ForerunError                 anything this software says on purpose
    ├── ConfigError              a setting is missing, unknown or impossible; names file and key
    ├── MessageError             bytes that are no message of ours
    │   ├── OversizedError       more bytes than the size limit
    │   ├── VersionError         an envelope version this release does not read
    │   ├── UnknownKindError     a kind that the table of topics does not have
    │   └── MalformedError       truncated, of the wrong type, or out of range
    ├── TopicError               a topic or subject that the table does not have
    ├── CredentialError          unknown, revoked or without the right
    ├── StorageError             a journal, outbox or segment cannot be read or written
    └── TransportError           the path to the other side failed (``retry`` is true)

Each error has ``retry``: true when the same call may succeed later.
"""

from __future__ import annotations

from typing import ClassVar


class ForerunError(Exception):
    """Base of all errors; its text names what is wrong and what to do.

    Attributes:
        retry: Whether the same call may succeed later.
        reason: Short constant word for counters (label ``reason`` in ``/metrics``).
    """

    retry: ClassVar[bool] = False
    reason: ClassVar[str] = "error"


class ConfigError(ForerunError):
    """A setting is missing, unknown or impossible."""

    reason = "config"


class MessageError(ForerunError):
    """Bytes that are no message of ours."""

    reason = "message"


class OversizedError(MessageError):
    """A message larger than the limit.

    Attributes:
        size: Its size in bytes.
        limit: The most that is taken, in bytes.
    """

    reason = "oversized"

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(f"message of {size} bytes is over the limit of {limit} bytes")
        self.size = size
        self.limit = limit


class VersionError(MessageError):
    """An envelope version that this release does not read.

    Attributes:
        version: The version found.
    """

    reason = "version"

    def __init__(self, version: object, known: int) -> None:
        super().__init__(
            f"envelope version {version!r} is not {known}: update the older of the two sides"
        )
        self.version = version


class UnknownKindError(MessageError):
    """A kind that the table of topics does not have.

    Attributes:
        kind: The kind found.
    """

    reason = "unknown_kind"

    def __init__(self, kind: object) -> None:
        super().__init__(f"kind {kind!r} is not in the table of topics")
        self.kind = kind


class MalformedError(MessageError):
    """Truncated, of the wrong type, or out of range."""

    reason = "malformed"


class TopicError(ForerunError):
    """A topic or subject that the table does not have.

    Attributes:
        topic: The topic found.
    """

    reason = "unknown_topic"

    def __init__(self, topic: str, why: str) -> None:
        super().__init__(f"topic {topic!r}: {why}")
        self.topic = topic


class CredentialError(ForerunError):
    """A credential is unknown, revoked, or lacks the right."""

    reason = "credential"


class StorageError(ForerunError):
    """A journal, outbox or segment cannot be read or written."""

    retry = True
    reason = "storage"


class TransportError(ForerunError):
    """The path to the other side failed."""

    retry = True
    reason = "transport"
