"""What a group tells, in the order in which it happened."""

import ctypes
from dataclasses import dataclass
from typing import Any, Tuple, Union

from ._library import EventInfo, call


@dataclass(frozen=True)
class Message:
    """A message in the view that the last View named. Own messages come back, too."""

    sender: int
    number: int
    payload: bytes
    stage: int
    """0: promised to all members of the view; 1 and 2: to the transitional set alone."""


@dataclass(frozen=True)
class View:
    """A new view. ``transitional`` came from the same view as this process."""

    id: Tuple[int, int]
    members: Tuple[int, ...]
    transitional: Tuple[int, ...]
    quorum: bool


@dataclass(frozen=True)
class Signal:
    """The view ends: what comes from here on is promised to ``transitional`` alone."""

    transitional: Tuple[int, ...]


@dataclass(frozen=True)
class Direct:
    """A message to this process alone."""

    sender: int
    payload: bytes


@dataclass(frozen=True)
class Primary:
    """The view is primary from here on."""


@dataclass(frozen=True)
class Lapsed:
    """The view does not hold any more for this process."""


@dataclass(frozen=True)
class Restored:
    """The view holds again."""


@dataclass(frozen=True)
class Gap:
    """Messages are missing here, since this process receives too slowly."""

    messages: int


@dataclass(frozen=True)
class DetachedEvent:
    """The process is out; it comes back by itself unless that is final."""

    reason: str
    is_final: bool


@dataclass(frozen=True)
class Unanswered:
    """No membership server answers."""

    text: str


@dataclass(frozen=True)
class LeftEvent:
    """The group was left. ``unsent`` messages nobody will see."""

    unsent: int


@dataclass(frozen=True)
class Other:
    """Something that this version of the module does not name."""

    text: str


Event = Union[
    Message, View, Signal, Direct, Primary, Lapsed, Restored, Gap, DetachedEvent, Unanswered,
    LeftEvent, Other,
]


def take(handle: ctypes.c_void_p) -> Event:
    """Reads an event of the library, and frees it."""
    try:
        info = EventInfo(size=ctypes.sizeof(EventInfo))
        call("vs_event_get", handle, ctypes.byref(info))
        return _read(info)
    finally:
        call("vs_event_free", handle)


def _read(info: Any) -> Event:
    kind = info.kind
    payload = ctypes.string_at(info.payload, info.payload_len) if info.payload_len else b""
    if kind == 1:
        return Message(info.sender, info.number, payload, info.stage)
    transitional = tuple(info.transitional[: info.transitional_len])
    text = (info.text or b"").decode()
    if kind == 2:
        members = tuple(info.members[: info.members_len])
        return View((info.view_major, info.view_minor), members, transitional, bool(info.flag))
    if kind == 3:
        return Signal(transitional)
    if kind == 4:
        return Direct(info.sender, payload)
    if kind in (5, 6, 7):
        return (Primary(), Lapsed(), Restored())[kind - 5]
    if kind == 8:
        return Gap(info.count)
    if kind == 9:
        return DetachedEvent(text, bool(info.flag))
    if kind == 10:
        return Unanswered(text)
    if kind == 11:
        return LeftEvent(info.count)
    return Other(text)
