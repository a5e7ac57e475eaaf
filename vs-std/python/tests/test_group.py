"""Groups and stores within one process."""

import asyncio
import contextlib
import os
import random
import signal
import threading
import time
import unittest
from typing import Iterator, Tuple

import vs


def name(what: str) -> str:
    return f"{what}-{random.randrange(1 << 30)}"


def member(group: str, **options: object) -> vs.Group:
    return vs.Group(group, interface="127.0.0.1", **options)


def await_view(group: vs.Group, count: int) -> vs.View:
    for event in group:
        if isinstance(event, vs.View) and len(event.members) == count:
            return event
    raise AssertionError("the group ended")


@contextlib.contextmanager
def two(**options: object) -> Iterator[Tuple[vs.Group, vs.Group]]:
    group = name("two")
    with member(group, **options) as one, member(group, **options) as other:
        await_view(one, 2)
        await_view(other, 2)
        yield one, other


class Counter(vs.State):
    def __init__(self, total: int = 0) -> None:
        self.total = total

    def apply(self, op: bytes) -> bytes:
        if op == b"no":
            raise ValueError("not so")
        self.total += int(op)
        return str(self.total).encode()

    def snapshot(self) -> bytes:
        return str(self.total).encode()

    @classmethod
    def restore(cls, snapshot: bytes) -> "Counter":
        return cls(int(snapshot))


class Blocking(unittest.TestCase):
    def test_members_hear_each_other(self) -> None:
        with two(order="total") as (one, other):
            one.send(b"a\0b")
            heard = next(e for e in other if isinstance(e, vs.Message))
            self.assertEqual((heard.sender, heard.payload), (one.id, b"a\0b"))
            self.assertEqual(one.view.members, tuple(sorted((one.id, other.id))))
            self.assertIn("groups", one.status())
            self.assertEqual(one.leave(), 0)
            self.assertIsInstance(await_view(other, 1), vs.View)
            with self.assertRaises(vs.Left):
                one.send(b"late")

    def test_errors_have_the_text_of_the_library(self) -> None:
        with self.assertRaisesRegex(vs.OptionError, "interface"):
            vs.Group("g", interface="nowhere0")
        with self.assertRaisesRegex(ValueError, "order"):
            member("g", order="alphabetical")
        group = member(name("text"))
        with self.assertRaisesRegex(vs.TooLarge, "message_bytes_max"):
            group.send(bytes(2 << 20))
        self.assertIsNone(group.recv(0))
        group.close()
        group.close()
        with self.assertRaises(vs.ArgumentError):
            group.send(b"closed")

    def test_other_threads_run_while_one_waits(self) -> None:
        with member(name("threads"), role="observer") as group:
            waits = threading.Thread(target=lambda: [None for _ in group], daemon=True)
            waits.start()
            group.begin_leave()
            waits.join(60)
            self.assertFalse(waits.is_alive())

    def test_interrupt_comes_through_while_it_waits(self) -> None:
        with member(name("interrupt")) as group:
            while group.recv(1.0) is not None:
                pass
            threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
            with self.assertRaises(KeyboardInterrupt):
                while True:
                    group.recv()

    def test_a_forked_child_is_told(self) -> None:
        with member(name("fork")) as group:
            child = os.fork()
            if child == 0:
                try:
                    group.send(b"from the child")
                    group.recv(30)
                    os._exit(1)
                except vs.Forked:
                    os._exit(0)
                except BaseException:
                    os._exit(2)
            self.assertEqual(os.waitpid(child, 0)[1], 0)
            group.send(b"from the parent")


class Async(unittest.TestCase):
    def test_tasks_wait_by_the_descriptor(self) -> None:
        async def run() -> None:
            group = name("async")
            async with member(group) as one, member(group) as other:
                before = threading.active_count()
                for each in (one, other):
                    async for event in each:
                        if isinstance(event, vs.View) and len(event.members) == 2:
                            break
                waits = asyncio.ensure_future(other.arecv())
                await asyncio.sleep(0.05)
                waits.cancel()
                await one.asend(b"after a wait that was cancelled")
                event = await other.arecv()
                while not isinstance(event, vs.Message):
                    event = await other.arecv()
                self.assertEqual(event.payload, b"after a wait that was cancelled")
                self.assertEqual(threading.active_count(), before)

        asyncio.run(run())


class Replicated(unittest.TestCase):
    def test_a_state_is_restored_by_another(self) -> None:
        group, id = name("state"), random.randrange(1, 1 << 50)
        with vs.Store(group, Counter(1), [id], id=id, interface="127.0.0.1") as store:
            self.assertTrue(store.wait_until_served(60))
            self.assertEqual(store.call(b"41"), b"42")
            with self.assertRaisesRegex(vs.OperationError, "ValueError: not so"):
                store.call(b"no")
            self.assertEqual(store.read(lambda state: state.total), 42)
            with self.assertRaises(ZeroDivisionError):
                store.read(lambda state: state.total // 0)
            with vs.Store(group, Counter(1), [id], id=id + 1, interface="127.0.0.1") as other:
                self.assertTrue(other.wait_until_served(60))
                self.assertEqual(other.call(b"1"), b"43")
                self.assertEqual(other.read(lambda state: state.total), 43)
            self.assertEqual(store.status(), "serving")

    def test_without_a_majority_nothing_is_done(self) -> None:
        id = random.randrange(1, 1 << 50)
        voters = [id, id + 1, id + 2]
        with vs.Store(name("alone"), Counter(), voters, id=id, interface="127.0.0.1") as store:
            self.assertFalse(store.wait_until_served(0.2))
            began = time.monotonic()
            with self.assertRaises((vs.Refused, vs.Unknown)):
                store.call(b"1", timeout=0.3)
            self.assertLess(time.monotonic() - began, 30)


if __name__ == "__main__":
    unittest.main()
