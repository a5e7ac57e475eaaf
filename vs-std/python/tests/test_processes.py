"""Real processes of C, Python and Rust in one group: killed, restarted, parted, joined again."""

import os
import queue
import random
import re
import signal
import subprocess
import sys
import threading
import unittest
from pathlib import Path
from typing import List

HERE = Path(__file__).resolve().parents[1]
CAPI = Path(os.environ["VS_CAPI"])
COMMAND = os.environ["VS_COMMAND"]
LIMIT_S = float(os.environ.get("LIMIT_S", "90"))


class Process:
    """A program, and what it prints."""

    def __init__(self, *args: object) -> None:
        self.pipe = subprocess.Popen(
            [str(arg) for arg in args], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.lines: "queue.Queue[str]" = queue.Queue()
        self.seen: List[str] = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.pipe.stdout is not None
        for line in self.pipe.stdout:
            self.lines.put(line.rstrip())

    def type(self, line: str) -> None:
        assert self.pipe.stdin is not None
        self.pipe.stdin.write(line + "\n")
        self.pipe.stdin.flush()

    def hears(self, pattern: str, limit_s: float) -> bool:
        """Whether a line of that pattern comes, each within the time."""
        try:
            while not re.search(pattern, line := self.lines.get(timeout=limit_s)):
                self.seen.append(line)
            return True
        except queue.Empty:
            return False

    def await_line(self, pattern: str) -> str:
        """The next line of that pattern; those before it are gone."""
        while True:
            try:
                line = self.lines.get(timeout=LIMIT_S)
            except queue.Empty:
                raise AssertionError(f"no {pattern!r} after {self.seen[-8:]}") from None
            self.seen.append(line)
            if re.search(pattern, line):
                return line

    def ask(self, line: str, pattern: str) -> str:
        """Types a line until its answer is of that pattern: before the state is served, none is."""
        for _ in range(300):
            self.type(line)
            answer = self.await_line("")
            if re.search(pattern, answer):
                return answer
            threading.Event().wait(0.2)
        raise AssertionError(f"{line!r} is not answered by {pattern!r}: {self.seen[-8:]}")

    def send(self, number: signal.Signals) -> None:
        self.pipe.send_signal(number)

    def kill(self) -> None:
        self.pipe.kill()
        self.pipe.wait()
        for stream in (self.pipe.stdin, self.pipe.stdout):
            if stream is not None:
                try:
                    stream.close()
                except OSError:
                    pass


class Processes(unittest.TestCase):
    def start(self, *args: object) -> Process:
        process = Process(*args)
        self.addCleanup(process.kill)
        return process

    def python(self, program: str, *args: object) -> Process:
        return self.start(sys.executable, HERE / "examples" / program, *args)

    def test_c_python_and_rust_in_one_group(self) -> None:
        group, base = f"mixed-{random.randrange(1 << 30)}", random.randrange(1, 1 << 40)
        id_c, id_python, id_rust = base, base + 1, base + 2
        place = ["--group", group, "--interface", "127.0.0.1", "--bind", "127.0.0.2"]
        rust = self.start(COMMAND, "node", *place, "--id", id_rust, "--cut", "127.0.0.1")
        c = self.start(CAPI / "chat", "127.0.0.1", id_c, group)
        python = self.python("chat.py", "127.0.0.1", id_python, group)
        every = rf"members {id_c} {id_python} {id_rust},"
        c.await_line(every)
        python.await_line(every)
        for sender, words in ((c, "from c"), (python, "from python"), (rust, "from rust")):
            sender.type(words)
            for hearer in (c, python, rust):
                hearer.await_line(words)

        # Parted: the others notice as soon as they wait for it, and go on. Joined again: they tell
        # who came together.
        rust.send(signal.SIGUSR1)
        c.type("rust does not hear this")
        # Rust tries to come back at once, and may be in the next view without having come along.
        parted = rf"together with {id_c} {id_python}$"
        c.await_line(parted)
        python.await_line(parted)
        c.type("without rust")
        python.await_line("without rust")
        rust.send(signal.SIGUSR2)
        for _ in range(300):
            rust.type("rust is back")
            if c.hears("rust is back", 0.3) and python.hears("rust is back", 0.3):
                break
        else:
            self.fail(f"rust does not come back: {c.seen[-8:]}")

        # Killed, and started again.
        c.kill()
        python.await_line(rf"members {id_python} {id_rust},")
        c = self.start(CAPI / "chat", "127.0.0.1", id_c, group)
        c.await_line(every)
        python.await_line(rf"{every} together with {id_python} {id_rust}$")
        python.kill()
        c.await_line(rf"members {id_c} {id_rust},")
        c.type("c is back")
        rust.await_line("c is back")
        c.type("")
        self.assertEqual(c.pipe.wait(LIMIT_S), 0)

    def check_store(self, kind: str) -> None:
        is_c = kind == "c"

        def start(id: int) -> Process:
            if is_c:
                return self.start(CAPI / "store", id)
            return self.python("store.py", id)

        write, wrote = ("a 5", "^5$") if is_c else ("put a 5", "^before: null")
        again, wrote_again = ("a 1", "^6$") if is_c else ("put a 6", '^before: "5"')
        read = "a" if is_c else "get a"
        stores = {id: start(id) for id in (1, 2, 3)}
        stores[1].ask(write, wrote)
        stores[2].ask(read, "^5$")
        stores[3].kill()
        stores[2].ask(again, wrote_again)
        stores[3] = start(3)
        stores[3].ask(read, "^6$")
        stores[1].kill()
        stores[2].kill()
        stores[3].ask(read, "^not done: |^perhaps done: ")
        stores[1] = start(1)
        stores[2] = start(2)
        stores[3].ask("status", "no majority|recover|serving")

    def test_a_store_of_c_outlives_kills(self) -> None:
        self.check_store("c")

    def test_a_store_of_python_outlives_kills(self) -> None:
        self.check_store("python")


if __name__ == "__main__":
    unittest.main()
