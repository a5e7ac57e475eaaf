"""The C library, as vs-std/capi/include/vs.h declares it. Its calls run without the GIL."""

import ctypes
import os
import sys
from ctypes import CFUNCTYPE, POINTER, Structure, c_char_p, c_int, c_int32, c_int64, c_size_t
from ctypes import c_uint32, c_uint64, c_void_p
from pathlib import Path
from typing import Any

from ._errors import error

ABI_VERSION = 1
NOTHING = 1
FULL = -5
TIMED_OUT = -6
BUFFER = -17

APPLY = CFUNCTYPE(None, c_void_p, c_void_p, c_size_t, c_void_p)
SNAPSHOT = CFUNCTYPE(c_int32, c_void_p, c_void_p)
RESTORE = CFUNCTYPE(c_int32, c_void_p, c_void_p, POINTER(c_void_p))
DROP = CFUNCTYPE(None, c_void_p)
HEAR = CFUNCTYPE(None, c_void_p, c_char_p)
LOOK = CFUNCTYPE(None, c_void_p, c_void_p)


class Options(Structure):
    """vs_options"""

    _fields_ = [
        ("size", c_uint32),
        ("order", c_uint32),
        ("process", c_uint64),
        ("interface", c_char_p),
        ("servers", c_char_p),
        ("multicast", c_char_p),
        ("key_file", c_char_p),
        ("trace", c_char_p),
        ("primary_of", POINTER(c_uint64)),
        ("primary_of_len", c_size_t),
        ("send_timeout_ms", c_uint64),
        ("join_timeout_ms", c_uint64),
        ("peer_ms", c_uint64),
        ("members_max", c_uint64),
        ("message_bytes_max", c_uint64),
        ("inbox_bytes", c_uint64),
        ("outbox_bytes", c_uint64),
        ("role", c_uint32),
        ("slow_reader", c_uint32),
        ("unicast", c_uint32),
        ("reserved", c_uint32),
    ]


class EventInfo(Structure):
    """vs_event_info"""

    _fields_ = [
        ("size", c_uint32),
        ("kind", c_uint32),
        ("sender", c_uint64),
        ("number", c_uint64),
        ("stage", c_uint32),
        ("flag", c_uint32),
        ("payload", c_void_p),
        ("payload_len", c_size_t),
        ("view_major", c_uint64),
        ("view_minor", c_uint64),
        ("members", POINTER(c_uint64)),
        ("members_len", c_size_t),
        ("transitional", POINTER(c_uint64)),
        ("transitional_len", c_size_t),
        ("count", c_uint64),
        ("text", c_char_p),
    ]


class StateOps(Structure):
    """vs_state_ops"""

    _fields_ = [
        ("size", c_uint32),
        ("reserved", c_uint32),
        ("user", c_void_p),
        ("apply", APPLY),
        ("snapshot", SNAPSHOT),
        ("restore", RESTORE),
        ("drop_state", DROP),
        ("hear", HEAR),
    ]


def _load() -> ctypes.CDLL:
    name = "libvs.dylib" if sys.platform == "darwin" else "libvs.so"
    path = os.environ.get("VS_LIBRARY") or str(Path(__file__).with_name(name))
    try:
        library = ctypes.CDLL(path)
    except OSError as why:
        raise ImportError(f"{why}: install the wheel, or name the library in VS_LIBRARY") from None
    found = library.vs_abi_version()
    if found != ABI_VERSION:
        raise ImportError(f"{path} has ABI {found}, and {ABI_VERSION} is needed: load another")
    return library


LIBRARY = _load()
LIBRARY.vs_error_text.restype = c_char_p
_P = c_void_p
for _name, _types in {
    "vs_join": [c_char_p, POINTER(Options), POINTER(_P)],
    "vs_free": [_P],
    "vs_process": [_P, POINTER(c_uint64)],
    "vs_send_timeout": [_P, c_char_p, c_size_t, c_int64],
    "vs_recv": [_P, c_int64, POINTER(_P)],
    "vs_fd": [_P, POINTER(c_int)],
    "vs_view": [_P, POINTER(_P)],
    "vs_status": [_P, c_char_p, c_size_t, POINTER(c_size_t)],
    "vs_set_key_file": [_P, c_char_p],
    "vs_begin_leave": [_P],
    "vs_leave": [_P, POINTER(c_uint64)],
    "vs_event_get": [_P, POINTER(EventInfo)],
    "vs_event_free": [_P],
    "vs_write": [_P, c_char_p, c_size_t],
    "vs_read": [_P, c_char_p, c_size_t, POINTER(c_size_t)],
    "vs_store_open": [c_char_p, POINTER(Options), POINTER(c_uint64), c_size_t]
    + [POINTER(StateOps), _P, POINTER(_P)],
    "vs_store_wait": [_P, c_int64],
    "vs_store_begin": [_P, c_char_p, c_size_t, POINTER(_P)],
    "vs_pending_wait": [_P, c_int64, POINTER(_P), POINTER(c_size_t)],
    "vs_pending_free": [_P],
    "vs_store_read": [_P, LOOK, _P],
    "vs_store_status": [_P, c_char_p, c_size_t, POINTER(c_size_t)],
    "vs_store_leave": [_P],
    "vs_store_free": [_P],
}.items():
    getattr(LIBRARY, _name).argtypes = _types
    getattr(LIBRARY, _name).restype = c_int32


def call(name: str, *args: Any) -> int:
    """Calls a function: its code, or the exception of its error."""
    code: int = getattr(LIBRARY, name)(*args)
    if code < 0:
        raise error(code, LIBRARY.vs_error_text().decode())
    return code


def text_of(name: str, handle: c_void_p) -> bytes:
    """What a function writes to a buffer, however long it is."""
    length, room = c_size_t(), 4096
    while True:
        buffer = ctypes.create_string_buffer(room)
        code: int = getattr(LIBRARY, name)(handle, buffer, room, ctypes.byref(length))
        if code >= 0:
            return buffer.raw[: length.value]
        if code != BUFFER:
            raise error(code, LIBRARY.vs_error_text().decode())
        room = 2 * length.value
