"""A state that all members of a group have."""

import atexit
import ctypes
import itertools
import threading
import traceback
from types import TracebackType
from typing import Any, BinaryIO, Callable, Dict, Generic, Iterable, List, Optional, Type, TypeVar

from ._errors import Ended, Unknown, VsError
from ._group import options_of, slices
from ._library import (
    APPLY, DROP, HEAR, LOOK, NOTHING, RESTORE, SNAPSHOT, LIBRARY, StateOps, call, text_of,
)

S = TypeVar("S", bound="State")
R = TypeVar("R")
ANSWER, RAISED = b"\0", b"\1"


class State:
    """What is replicated: every member applies the same operations in the same order.

    ``apply`` depends on the state and the operation alone: not on time, random numbers or the
    order of a set. What it raises is raised by ``call``, and the state is then as it left it: raise
    before the first change. Methods run on threads of the library, never two at once.
    """

    def apply(self, op: bytes) -> bytes:
        """Carries an operation out, and answers."""
        raise NotImplementedError

    def snapshot(self) -> bytes:
        """All of the state: equal states write equal bytes."""
        raise NotImplementedError

    @classmethod
    def restore(cls: Type[S], snapshot: bytes) -> S:
        """Makes the state of what ``snapshot`` wrote."""
        raise NotImplementedError


class Store(Generic[S]):
    """Takes part in a state of which more than half of ``primary_of`` must have it. Options are
    those of Group. As a context manager it leaves at the end.
    """

    def __init__(
        self,
        name: str,
        initial: S,
        primary_of: Iterable[int],
        *,
        hear: Optional[Callable[[str], None]] = None,
        call_timeout: float = 10.0,
        **options: Any,
    ) -> None:
        self._handle = ctypes.c_void_p()
        self._timeout = call_timeout
        # States by the number that the library has for them, from 1.
        self._states: Dict[int, S] = {}
        self._numbers = itertools.count(1)
        self._kind: Type[S] = type(initial)
        self._hear = hear
        # The functions live as long as this object, and longer: see close.
        self._ops = self._functions()
        voters = list(primary_of)
        _KEEP[id(self)] = self
        try:
            call(
                "vs_store_open",
                name.encode(),
                ctypes.byref(options_of(**options)),
                (ctypes.c_uint64 * len(voters))(*voters),
                len(voters),
                ctypes.byref(self._ops),
                self._add(initial),
                ctypes.byref(self._handle),
            )
        except BaseException:
            _KEEP.pop(id(self), None)
            raise

    def _add(self, state: S) -> int:
        number = next(self._numbers)
        self._states[number] = state
        return number

    def _functions(self) -> StateOps:
        def apply(state: int, op: Optional[int], length: int, answer: int) -> None:
            try:
                bytes_ = ctypes.string_at(op, length) if op and length else b""
                said = ANSWER + self._states[state].apply(bytes_)
            except Exception as why:  # The others raise it, too: it follows from the operation.
                said = RAISED + f"{type(why).__name__}: {why}".encode()
            LIBRARY.vs_write(answer, said, len(said))

        def snapshot(state: int, out: int) -> int:
            try:
                written = self._states[state].snapshot()
                return int(LIBRARY.vs_write(out, written, len(written)))
            except BaseException:
                traceback.print_exc()
                return 1

        def restore(_: Optional[int], source: int, state: Any) -> int:
            try:
                parts: List[bytes] = []
                buffer, length = ctypes.create_string_buffer(1 << 16), ctypes.c_size_t()
                while True:
                    call("vs_read", source, buffer, len(buffer), ctypes.byref(length))
                    if not length.value:
                        break
                    parts.append(buffer.raw[: length.value])
                state[0] = self._add(self._kind.restore(b"".join(parts)))
                return 0
            except BaseException:
                traceback.print_exc()
                return 1

        def drop(state: int) -> None:
            self._states.pop(state, None)

        def hear(_: Optional[int], text: bytes) -> None:
            if self._hear is not None:
                self._hear(text.decode())

        size = ctypes.sizeof(StateOps)
        functions = APPLY(apply), SNAPSHOT(snapshot), RESTORE(restore), DROP(drop), HEAR(hear)
        return StateOps(size, 0, None, *functions)

    def wait_until_served(self, timeout: Optional[float] = None) -> bool:
        """Waits until calls are answered; False if they are not in time."""
        for wait in slices(timeout):
            if call("vs_store_wait", self._handle, wait) != NOTHING:
                return True
        return False

    def call(self, op: bytes, timeout: Optional[float] = None) -> bytes:
        """Carries ``op`` out, once, in the order of all. Refused: it was not carried out. Unknown:
        once or never."""
        pending = ctypes.c_void_p()
        answer, length = ctypes.c_void_p(), ctypes.c_size_t()
        call("vs_store_begin", self._handle, op, len(op), ctypes.byref(pending))
        try:
            for wait in slices(self._timeout if timeout is None else timeout):
                places = ctypes.byref(answer), ctypes.byref(length)
                if call("vs_pending_wait", pending, wait, *places) != NOTHING:
                    said = ctypes.string_at(answer, length.value) if length.value else RAISED
                    break
            else:
                raise Unknown("there is no answer in time: it was carried out once or never")
        finally:
            call("vs_pending_free", pending)
        if said[:1] == RAISED:
            raise OperationError(said[1:].decode())
        return said[1:]

    def read(self, look: Callable[[S], R]) -> R:
        """What ``look`` answers of the state, linearizably: what was answered to anybody before is
        in it. ``look`` must not change it, and must not call the store."""
        found: List[Any] = []

        def inside(_: Optional[int], state: int) -> None:
            try:
                found.append((True, look(self._states[state])))
            except BaseException as why:
                found.append((False, why))

        error: List[BaseException] = []
        done = threading.Event()
        function = LOOK(inside)

        def ask() -> None:
            try:
                call("vs_store_read", self._handle, function, None)
            except BaseException as why:
                error.append(why)
            done.set()

        # On a thread of its own, so that KeyboardInterrupt comes through.
        threading.Thread(target=ask, daemon=True).start()
        while not done.wait(1.0):
            pass
        if error:
            raise error[0]
        is_right, value = found[0]
        if not is_right:
            raise value
        answer: R = value
        return answer

    def status(self) -> str:
        """How the store fares, in words."""
        return text_of("vs_store_status", self._handle).decode()

    def leave(self) -> None:
        """Leaves in good order, and waits for that."""
        call("vs_store_leave", self._handle)

    def close(self) -> None:
        """Frees the handle. Without leave before, that is a crash in the eyes of the others."""
        if self._handle.value is not None:
            handle, self._handle = self._handle, ctypes.c_void_p()
            # A snapshot may still be written for nobody: the functions stay.
            call("vs_store_free", handle)

    def __enter__(self) -> "Store[S]":
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
        except Ended:
            pass
        finally:
            self.close()


class OperationError(VsError):
    """``apply`` raised, at all members alike; with its text."""


_KEEP: Dict[int, "Store[Any]"] = {}
"""Stores that were opened: the library may call their functions until the process ends."""


@atexit.register
def _close_all() -> None:
    """The interpreter must not end while threads of the library may still call it."""
    for store in list(_KEEP.values()):
        store.close()
