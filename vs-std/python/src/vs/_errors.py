"""Errors of the library, with its text, which says what to do."""

from typing import Dict, Type


class VsError(Exception):
    """The library refuses something, or something has ended. ``code`` is that of the C header."""

    code: int = 0


class ArgumentError(VsError, ValueError):
    """An argument cannot be used, or the handle is closed."""


class OptionError(VsError, ValueError):
    """An option cannot be used, or the system refuses what it asks for."""


class TooLarge(VsError, ValueError):
    """The message or the operation is longer than message_bytes_max."""


class Full(VsError, BlockingIOError):
    """There is no room at the moment."""


class TimedOut(VsError, TimeoutError):
    """There was no room, no view, or no end in time."""


class Left(VsError):
    """The group was left."""


class Detached(VsError):
    """The process is out of the group for good."""


class Forked(VsError):
    """The process was forked from the one that joined."""


class Refused(VsError):
    """The operation was not sent, and will not be carried out."""


class Unknown(VsError):
    """The operation was carried out once or never."""


class Ended(VsError):
    """The replicated state, or membership, has ended."""


OF_CODES: Dict[int, Type[VsError]] = {
    -1: ArgumentError,
    -2: ArgumentError,
    -3: OptionError,
    -4: TooLarge,
    -5: Full,
    -6: TimedOut,
    -7: Left,
    -8: Detached,
    -9: TimedOut,
    -10: Forked,
    -13: Refused,
    -14: Unknown,
    -15: Ended,
}


def error(code: int, text: str) -> VsError:
    """The exception of a code."""
    made = OF_CODES.get(code, VsError)(text)
    made.code = code
    return made
