"""A replicated store: store.py ID [INTERFACE], in three terminals with ID 1, 2, 3. "put KEY VALUE",
"get KEY", "status"; an empty line leaves."""

import json
import sys
from typing import Dict

import vs


class Kv(vs.State):
    def __init__(self, of: Dict[str, str]) -> None:
        self.of = of

    def apply(self, op: bytes) -> bytes:
        key, value = json.loads(op)
        before, self.of[key] = self.of.get(key), value
        return json.dumps(before).encode()

    def snapshot(self) -> bytes:
        return json.dumps(self.of, sort_keys=True).encode()

    @classmethod
    def restore(cls, snapshot: bytes) -> "Kv":
        return cls(json.loads(snapshot))


def execute(store: "vs.Store[Kv]", line: str) -> str:
    verb, key, value = (line.split(" ", 2) + ["", ""])[:3]
    try:
        if verb == "put" and key:
            return "before: " + store.call(json.dumps([key, value]).encode()).decode()
        if verb == "get" and key:
            return store.read(lambda kv: kv.of.get(key, "none"))
        return store.status() if verb == "status" else "put KEY VALUE, get KEY, or status"
    except vs.Refused as why:
        return f"not done: {why}"
    except vs.Unknown as why:
        return f"perhaps done: {why}"


def main() -> None:
    id, where = int(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "127.0.0.1"

    def hear(text: str) -> None:
        print("#", text, file=sys.stderr, flush=True)

    with vs.Store("store-py", Kv({}), [1, 2, 3], id=id, interface=where, hear=hear) as store:
        for line in iter(sys.stdin.readline, ""):
            if not line.strip():
                break
            print(execute(store, line.strip()), flush=True)


if __name__ == "__main__":
    main()
