#!/usr/bin/env python3
"""Holds the manual's table of messages against the code, both ways.

Each message of the table is in the code, and each message of the types below is in the table. In
the table capital letters, digits and quoted names stand for what differs from case to case.
"""

import re
import sys
from pathlib import Path

PAGE = Path("vs-core/src/manual/operating.md")
HEADING = "# What an operator may read"
SOURCES = ["vs-core/src", "vs-std/src", "vs-mio/src", "vs-mio/cli/src"]
# Types whose words go to operators.
TYPES = [
    "AddressNote", "ChannelError", "ConnectFailure", "DetachReason", "Impostor", "KeyError", "KeyFileError", "KeysError",
    "LeftOut", "MissingUnicast", "NarrowPath", "OpenError", "OtherKeys", "OtherVersion", "Overflow", "PeerTrouble",
    "Refusal", "SetupError",
    "SmallBuffers", "Unanswered", "Unheard", "UselessBeacon", "Waiting",
]
# Shorter ones join others.
LITERAL_BYTES_MIN = 24

LITERAL = re.compile(r'"((?:[^"\\]|\\.)*)"', re.S)
VARIES = re.compile(r'"[^"]*"|\{[^}]*\}|\b[A-Z]+\b|\b\d+\b')


def literals(text):
    """The texts in quotation marks of a piece of Rust; what is filled in is `{}`."""
    for found in LITERAL.finditer(text):
        literal = re.sub(r"\\\n\s*", "", found.group(1)).replace('\\"', '"')
        yield re.sub(r"\{[^}]*\}", "{}", literal)


def pieces(message):
    return [piece.strip() for piece in VARIES.split(message) if len(piece.strip()) > 2]


def holds(literal, message):
    at = 0
    for piece in pieces(message):
        at = literal.find(piece, at)
        if at < 0:
            return False
        at += len(piece)
    return True


def main():
    table = PAGE.read_text().split(HEADING, 1)[1].split("\n# ", 1)[0]
    messages = re.findall(r"^\| `([^`]+)` \|", table, re.M)
    code = {path: path.read_text() for root in SOURCES for path in Path(root).rglob("*.rs")}
    known = [literal for text in code.values() for literal in literals(text)]
    wrong = [f"no code says: {m}" for m in messages if not any(holds(k, m) for k in known)]
    for path, text in code.items():
        for name in TYPES:
            begin = text.find(f"impl fmt::Display for {name} {{")
            body = text[begin:text.index("\n}\n", begin)] if begin >= 0 else ""
            for literal in literals(body):
                is_told = any(holds(literal, message) for message in messages)
                if len(literal) >= LITERAL_BYTES_MIN and not is_told:
                    wrong.append(f"{path}: the manual does not explain: {literal}")
    print("\n".join(wrong))
    sys.exit(1 if wrong else 0)


main()
