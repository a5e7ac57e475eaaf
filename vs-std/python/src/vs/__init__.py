"""Virtually synchronous group communication.

    with vs.Group("chat", interface="127.0.0.1") as group:
        group.send(b"hello")
        for event in group:
            print(event)

In asyncio: ``async with group`` and ``async for event in group``. A replicated state is a subclass
of :class:`State`, kept by :class:`Store`.

Threads may share a group and a store. After ``os.fork`` those of the child are dead, and say so:
join there again, under another id. One interpreter of a process may use this module: import it in
no subinterpreter.
"""

from ._errors import (
    ArgumentError,
    Detached,
    Ended,
    Forked,
    Full,
    Left,
    OptionError,
    Refused,
    TimedOut,
    TooLarge,
    Unknown,
    VsError,
)
from ._events import (
    Direct,
    DetachedEvent,
    Event,
    Gap,
    Lapsed,
    LeftEvent,
    Message,
    Other,
    Primary,
    Restored,
    Signal,
    Unanswered,
    View,
)
from ._group import Group
from ._store import OperationError, State, Store

__all__ = [
    "ArgumentError",
    "Detached",
    "DetachedEvent",
    "Direct",
    "Ended",
    "Event",
    "Forked",
    "Full",
    "Gap",
    "Group",
    "Lapsed",
    "Left",
    "LeftEvent",
    "Message",
    "OperationError",
    "OptionError",
    "Other",
    "Primary",
    "Refused",
    "Restored",
    "Signal",
    "State",
    "Store",
    "TimedOut",
    "TooLarge",
    "Unanswered",
    "Unknown",
    "View",
    "VsError",
]
