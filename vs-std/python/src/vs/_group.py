"""A group, as a handle that threads share."""

import asyncio
import ctypes
import json
import time
from types import TracebackType
from typing import Any, AsyncIterator, Dict, Iterable, Iterator, Optional, Set, Type

from ._errors import Left, TimedOut, VsError
from ._events import Event, LeftEvent, View, take
from ._library import FULL, LIBRARY, NOTHING, TIMED_OUT, Options, call, text_of
from ._errors import error as _error

ORDERS = {"fifo": 0, "causal": 1, "total": 2, "safe": 3}
ROLES = {"member": 0, "observer": 1}
SLOW_READERS = {"default": 0, "block": 1, "skip": 2}
SLICE_S = 0.1
"""How long a call of the library waits at most: signals are looked at in between."""


def slices(timeout: Optional[float]) -> Iterator[int]:
    """Waits of ms until ``timeout``: the first one even if that is 0. KeyboardInterrupt comes
    between them."""
    until = None if timeout is None else time.monotonic() + timeout
    while True:
        left = SLICE_S if until is None else until - time.monotonic()
        yield int(1000 * max(0.0, min(left, SLICE_S)) + 0.999)
        if until is not None and time.monotonic() >= until:
            return


def _of(name: str, table: Dict[str, int], value: str) -> int:
    if value not in table:
        raise ValueError(f"{name}: there is no {value!r}: choose one of {', '.join(table)}")
    return table[value]


def _ms(seconds: Optional[float]) -> int:
    return 0 if seconds is None else max(1, int(1000 * seconds))


def options_of(
    *,
    id: int = 0,
    interface: Optional[str] = None,
    servers: Iterable[str] = (),
    multicast: Optional[str] = None,
    key_file: Optional[str] = None,
    trace: Optional[str] = None,
    order: str = "fifo",
    primary_of: Iterable[int] = (),
    send_timeout: Optional[float] = None,
    join_timeout: Optional[float] = None,
    peer_timeout: Optional[float] = None,
    members_max: int = 0,
    message_bytes_max: int = 0,
    inbox_bytes: int = 0,
    outbox_bytes: int = 0,
    role: str = "member",
    slow_reader: str = "default",
    unicast: bool = False,
) -> Options:
    """The options of a group, as the C header has them."""
    voters = list(primary_of)
    names = ",".join(servers)

    def text(value: Optional[str]) -> Optional[bytes]:
        return value.encode() if value else None

    return Options(
        size=ctypes.sizeof(Options),
        order=_of("order", ORDERS, order),
        process=id,
        interface=text(interface),
        servers=text(names),
        multicast=text(multicast),
        key_file=text(key_file),
        trace=text(trace),
        primary_of=(ctypes.c_uint64 * len(voters))(*voters) if voters else None,
        primary_of_len=len(voters),
        send_timeout_ms=_ms(send_timeout),
        join_timeout_ms=_ms(join_timeout),
        peer_ms=_ms(peer_timeout),
        members_max=members_max,
        message_bytes_max=message_bytes_max,
        inbox_bytes=inbox_bytes,
        outbox_bytes=outbox_bytes,
        role=_of("role", ROLES, role),
        slow_reader=_of("slow_reader", SLOW_READERS, slow_reader),
        unicast=int(unicast),
    )


class Group:
    """A process in a group. Options are those of the manual: ``id``, ``interface``, ``servers``,
    ``order``, ``key_file`` and so on; times are in seconds.

    As a context manager it leaves at the end; if the block raises, that is a crash in the eyes of
    the others. Iterated it gives the events, until it is left.
    """

    def __init__(self, name: str, **options: Any) -> None:
        self._handle = ctypes.c_void_p()
        self._waiting: Set["asyncio.Future[None]"] = set()
        self._send_timeout: Optional[float] = options.get("send_timeout", 10.0)
        made = options_of(**options)
        call("vs_join", name.encode(), ctypes.byref(made), ctypes.byref(self._handle))

    @property
    def id(self) -> int:
        """The id of this process."""
        process = ctypes.c_uint64()
        call("vs_process", self._handle, ctypes.byref(process))
        return process.value

    def send(self, payload: bytes, timeout: Optional[float] = None) -> None:
        """Multicasts, and waits for room for up to ``timeout``, ``send_timeout`` if it is None."""
        limit = self._send_timeout if timeout is None else timeout
        for wait in slices(limit):
            code = LIBRARY.vs_send_timeout(self._handle, payload, len(payload), wait)
            if code >= 0:
                return
            # Who has to receive first may do so on another thread meanwhile.
            if code not in (TIMED_OUT, FULL):
                break
        raise _error(code, LIBRARY.vs_error_text().decode())

    def try_send(self, payload: bytes) -> None:
        """Multicasts, or raises Full: does not wait."""
        call("vs_send_timeout", self._handle, payload, len(payload), 0)

    def recv(self, timeout: Optional[float] = None) -> Optional[Event]:
        """The next event; None if there was none within ``timeout``."""
        event = ctypes.c_void_p()
        for wait in slices(timeout):
            if call("vs_recv", self._handle, wait, ctypes.byref(event)) != NOTHING:
                return take(event)
        return None

    def __iter__(self) -> Iterator[Event]:
        while True:
            try:
                event = self.recv()
            except Left:
                return
            if event is not None:
                yield event

    def fileno(self) -> int:
        """A descriptor that is readable while an event is there, and after the end: for select
        and event loops. Do not read or close it."""
        descriptor = ctypes.c_int()
        call("vs_fd", self._handle, ctypes.byref(descriptor))
        return descriptor.value

    @property
    def view(self) -> View:
        """The view that was received last; its transitional set is in the event alone."""
        event = ctypes.c_void_p()
        call("vs_view", self._handle, ctypes.byref(event))
        view = take(event)
        assert isinstance(view, View)
        return view

    def status(self) -> Dict[str, Any]:
        """What the node sees now, with its counters, as ``vs status --json`` prints it."""
        told: Dict[str, Any] = json.loads(text_of("vs_status", self._handle))
        return told

    def set_key_file(self, path: str) -> None:
        """Seals with the keys of this file from now on."""
        call("vs_set_key_file", self._handle, path.encode())

    def begin_leave(self) -> None:
        """Asks to leave, and does not wait: LeftEvent is the last event."""
        call("vs_begin_leave", self._handle)

    def leave(self) -> int:
        """Leaves, once all have what was sent. Events that nobody receives are thrown away.
        Answers how many messages nobody will see."""
        unsent = 0
        self.begin_leave()
        try:
            for event in self:
                if isinstance(event, LeftEvent):
                    unsent = event.unsent
        except VsError:
            pass  # It is out all the same.
        return unsent

    def close(self) -> None:
        """Frees the handle. Without leave before, that is a crash in the eyes of the others."""
        if self._handle.value is not None:
            handle, self._handle = self._handle, ctypes.c_void_p()
            call("vs_free", handle)

    def __enter__(self) -> "Group":
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        try:
            if kind is None and self._handle.value is not None:
                self.leave()
        finally:
            self.close()

    async def asend(self, payload: bytes, timeout: Optional[float] = None) -> None:
        """send, for asyncio: other tasks go on while it waits for room."""
        limit = self._send_timeout if timeout is None else timeout
        until = None if limit is None else time.monotonic() + limit
        pause = 0.001
        while True:
            code = LIBRARY.vs_send_timeout(self._handle, payload, len(payload), 0)
            if code >= 0:
                return
            if code != -5:
                raise _error(code, LIBRARY.vs_error_text().decode())
            if until is not None and time.monotonic() >= until:
                raise TimedOut("the group had no room for the message in time: send it again")
            # Room has no descriptor to wait for.
            await asyncio.sleep(pause)
            pause = min(2 * pause, 0.05)

    async def arecv(self) -> Event:
        """The next event, for asyncio: waits by the descriptor, and loses nothing if cancelled.
        Of several tasks that wait each event goes to one."""
        while True:
            event = self.recv(0)
            if event is not None:
                return event
            await self._readable()

    async def _readable(self) -> None:
        loop = asyncio.get_running_loop()
        ready: "asyncio.Future[None]" = loop.create_future()
        descriptor = self.fileno()
        # One reader for all tasks: one that ends late must not take the reader of another away.
        if not self._waiting:
            loop.add_reader(descriptor, self._tell)
        self._waiting.add(ready)
        try:
            await ready
        finally:
            self._waiting.discard(ready)
            if not self._waiting:
                loop.remove_reader(descriptor)

    def _tell(self) -> None:
        for ready in self._waiting:
            if not ready.done():
                ready.set_result(None)

    async def aleave(self) -> int:
        """leave, for asyncio."""
        self.begin_leave()
        try:
            while True:
                event = await self.arecv()
                if isinstance(event, LeftEvent):
                    return event.unsent
        except VsError:
            return 0  # It is out all the same.

    async def __aiter__(self) -> AsyncIterator[Event]:
        while True:
            try:
                yield await self.arecv()
            except Left:
                return

    async def __aenter__(self) -> "Group":
        return self

    async def __aexit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        try:
            if kind is None and self._handle.value is not None:
                await self.aleave()
        finally:
            self.close()

    def __repr__(self) -> str:
        return f"<vs.Group {self._handle.value or 'closed'}>"
