#!/usr/bin/env python3
"""Runs the commands that the README and the manual show, as a reader would type them.

    .ci/commands.py BINARY

Lines of a ```console block that begin with `$ ` are commands, the others are what is typed into the
last one. The commands of a block run at the same time, in a directory of their own with BINARY as
`target/release/vs`. One that ends has to end with status 0. One that serves has to be there after a
while, and then to end with status 0 when it is asked to. Each command that is not run stands below,
with the reason.
"""

import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

PAGES = ["README.md", *sorted(str(p) for p in Path("vs-core/src/manual").glob("*.md"))]
# How long one that serves is left alone, and how long one that ends may take.
SERVES_S = 3
ENDS_S = 120
# Commands that begin so, and why they are not run here.
SKIPPED = {
    "cargo": "builds and tests are steps of .ci/run, which also runs the examples",
    "cargo-fuzz": "a step of .ci/run",
    ".ci/run": "it runs this",
    "scp": "there is no other host",
    "apt": "it changes the system",
    "docker": "there may be none",
    "kubectl": "there may be none",
    "systemctl": "there may be none",
    "curl": "it is shown beside a program that is not started here",
    "python3": "the bindings have tests of their own",
    "./chat": "the bindings have tests of their own",
    "pip": "the bindings have tests of their own",
    "maturin": "the bindings have tests of their own",
    "gcc": "the bindings have tests of their own",
    "cc": "the bindings have tests of their own",
    "make": "the bindings have tests of their own",
    "node": "it needs a browser",
    "wireshark": "it needs a screen",
    "tshark": "the dissector has a test of its own",
    "tcpdump": "the dissector has a test of its own",
    "promtool": "the metrics have a test of their own",
    "sudo": "it changes the system",
    "cp": "of files that are not there",
    "kill": "of a process that the reader knows",
}


def blocks(page):
    """Each block as a list of (command, what is typed into it)."""
    for body in re.findall(r"^```console\n(.*?)^```", Path(page).read_text(), re.M | re.S):
        commands = []
        for line in body.splitlines():
            if line.startswith("$ "):
                # A comment of the shell; a backslash goes on with the next line.
                commands.append((re.sub(r"\s+#.*$", "", line[2:]).strip(), []))
            elif commands and commands[-1][0].endswith("\\"):
                command, typed = commands.pop()
                commands.append((command[:-1] + re.sub(r"\s+#.*$", "", line).strip(), typed))
            elif commands:
                commands[-1][1].append(line)
        yield commands


class Command:
    """A command that runs. What it says is kept, for the case that it fails."""

    def __init__(self, command, typed, directory):
        words = shlex.split(command)
        stdin = subprocess.PIPE
        self.command = command
        self.process = subprocess.Popen(
            words, cwd=directory, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        self.said = []
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()
        # The input stays open, as a terminal does.
        self.process.stdin.write("".join(f"{line}\n" for line in typed).encode())
        self.process.stdin.flush()

    def read(self):
        for line in self.process.stdout:
            self.said.append(line.decode(errors="replace"))

    def ended(self, within_s):
        try:
            return self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            return None

    def failure(self, what):
        return f"{self.command}: {what}\n" + "".join(f"    {line}" for line in self.said[-20:])


# Verbs that serve until they are asked to end.
SERVING = {"node", "kv", "server", "top"}


def run(commands, directory):
    """Runs the commands of one block; yields failures."""
    serving = []
    for command, typed in commands:
        # Variables before a command are not the command.
        first = next((word for word in shlex.split(command) if "=" not in word), "")
        if first in SKIPPED:
            continue
        if first != "target/release/vs":
            yield f"{command}: no program of this project; name it in .ci/commands.py if it is not to be run"
            continue
        running = Command(command, typed, directory)
        if shlex.split(command)[1] in SERVING and "--watch" not in command:
            serving.append(running)
            status = running.ended(1)
            if status is not None:
                yield running.failure(f"ended with status {status}")
        elif (status := running.ended(ENDS_S)) != 0:
            yield running.failure(f"ended with status {status}")
            running.process.kill()
    if serving and serving[-1].ended(SERVES_S) is not None:
        yield serving[-1].failure("ended")
    for running in serving:
        if running.process.poll() is None:
            running.process.send_signal(signal.SIGTERM)
        status = running.ended(30)
        if status is None:
            running.process.kill()
            yield running.failure("did not end")
        elif status != 0:
            yield running.failure(f"ended with status {status}")


def main():
    binary = Path(sys.argv[1]).resolve()
    failures, count = [], 0
    # A key that is asked for beyond loopback is made by the page that says so.
    for page in PAGES:
        with tempfile.TemporaryDirectory() as directory:
            (Path(directory) / "target/release").mkdir(parents=True)
            os.symlink(binary, Path(directory) / "target/release/vs")
            for commands in blocks(page):
                count += len(commands)
                failures += [f"{page}: {failure}" for failure in run(commands, directory)]
    print(f"{count} commands of the README and the manual, {len(failures)} failures")
    for failure in failures:
        print(failure)
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
