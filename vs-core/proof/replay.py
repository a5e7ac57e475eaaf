"""Holds runs of the code against the model that is proved, guard by guard.

    vs sim --seeds 0..20 --refine --steps FILE
    vs explore --walks 10 --steps FILE
    python replay.py FILE [--invariants N]

Each line of the file is a step of a process of the code, and its state after it in the variables of
the algorithm. It has to be steps of the model, from the state of the model, and lead to the same
state. What has no line of its own (something arrives, is freed, is forgotten) shows in the next
state. The guards are those of `endpoint.py`: its text is read once more, with truth for formulas.
"""

import argparse
import collections
import json
import sys
import time

import endpoint
from logic import Finite, State

VERSION = 1
# Steps that are printed in full when they are refused.
REFUSED_SHOWN = 10


class Refused(Exception):
    """The model does not take the step, or leads elsewhere."""


class Table:
    """A function that is as it was in the beginning wherever nothing was said.

    By first argument: a step changes what belongs to one process.
    """

    def __init__(self, result):
        self.initial = False if result == "B" else 0
        self.rows = collections.defaultdict(dict)

    def __call__(self, first, *rest):
        return self.rows[first].get(rest, self.initial)

    def __setitem__(self, key, value):
        first, *rest = key
        if value == self.initial:
            self.rows[first].pop(tuple(rest), None)
        else:
            self.rows[first][tuple(rest)] = value

    def row(self, first):
        """What is not as in the beginning."""
        return self.rows[first]


class Domains(dict):
    """The elements that were spoken of so far, in their order."""

    def add(self, sort, element):
        self.setdefault(sort, {})[element] = None
        return element


class Group:
    """One group of one run, and the model's state of it."""

    def __init__(self):
        self.domains = Domains({s: {} for s in endpoint.SORTS})
        self.rigid = {n: Table(r) for n, (_, r) in endpoint.RIGID.items()}
        self.tables = {n: Table(r) for n, (_, r) in endpoint.VARS.items()}
        self.L = Finite(self.domains)
        self.model = endpoint.Model(self.L, State(self.rigid))
        self.actions = self.model.actions()
        self.S = State(self.tables)
        self.lives = collections.Counter()
        self.taken = collections.Counter()

    # ---- steps of the model

    def may(self, name, *args):
        return self.actions[name][1](self.S, *args)[0]

    def take(self, name, *args):
        guard, after = self.actions[name][1](self.S, *args)
        if not guard:
            raise Refused(f"the model does not allow {name}{args}")
        promised = self.model.steps(self.S)
        if name in promised:
            broken = [claim for claim, holds in promised[name](*args).items() if not holds]
            if broken:
                raise Refused(f"{name}{args} breaks {', '.join(broken)}")
        for table, key, value in self.changes(after):
            table[key] = value
        self.taken[name] += 1

    def changes(self, after):
        """All entries that change; they are told before any is changed."""
        out = []
        for n, f in after.functions.items():
            table = self.tables[n]
            if f is table:
                continue
            key, value = f.change
            for full in self.matching(endpoint.VARS[n][0], table, key, value):
                out.append((table, full, value(*full) if callable(value) else value))
        return out

    def matching(self, sorts, table, key, value):
        """The keys that a pattern stands for, those that nothing changes for left out."""
        if None not in key:
            return [tuple(key)]
        if value == table.initial and not callable(value):
            said = [(key[0], *rest) for rest in table.row(key[0])]
            return [k for k in said if all(p in (None, x) for p, x in zip(key, k))]
        full = [()]
        for part, sort in zip(key, sorts):
            parts = self.domains[sort] if part is None else [part]
            full = [(*k, x) for k in full for x in parts]
        return full

    # ---- elements

    def view(self, p, told):
        """A view that p speaks of: each life has an initial one of its own."""
        major, minor = told["id"]
        if (major, minor) == (0, 0):
            return ("initial", p, self.lives[p])
        v = (major, minor, tuple(told["set"]), tuple(told["start"]))
        if v not in self.domains["V"]:
            self.domains.add("V", v)
            self.rigid["vid"][v,] = (major << 64) + minor
            for q, c in zip(told["set"], told["start"]):
                self.domains.add("P", q)
                self.rigid["mem"][v, q] = True
                self.rigid["start"][v, q] = self.domains.add("C", c)
        return v

    def named(self, q, view):
        """What names a view in a sync message of q."""
        initial = view[0] == "initial"
        return ((0, 0), 0) if initial else (view[:2], self.rigid["start"](view, q))

    def begin(self, p):
        """A life of p begins."""
        first = p not in self.lives
        self.lives[p] += 1
        self.domains.add("P", p)
        v = self.domains.add("V", ("initial", p, self.lives[p]))
        self.rigid["mem"][v, p] = self.rigid["init"][v, p] = True
        if not first:
            return self.take("reborn", p, v)
        # As in the beginning.
        self.tables["cv"][p,] = self.tables["mv"][p,] = v
        self.tables["was"][p, v] = True

    # ---- a step of the code

    def step(self, p, action, state):
        what = action["is"] if action else "arrived"
        if what == "start":
            self.begin(p)
        if state is None:
            return
        if p not in self.lives:
            raise Refused("it did not start")
        cv = self.view(p, state["cv"])
        if what != "view":
            if cv != self.S.cv(p):
                raise Refused("it is in another view")
            self.take_in(p, cv, state)
        self.hear(p, state)
        act = getattr(self, f"on_{what}", None)
        if act is not None:
            act(p, action, state)
        if what == "view":
            self.hear(p, state)
        self.forget(p, state)
        self.free(p, cv, state)
        self.compare(p, cv, state)

    def members(self, v):
        return [v[1]] if v[0] == "initial" else v[2]

    def take_in(self, p, v, state):
        """What was sent and what arrived since."""
        for r, arrived, received in zip(self.members(v), state["arrived"], state["received"]):
            if r == p:
                sent = arrived + state["open"]
                if sent > self.S.sent(p, v):
                    self.take("send", p, sent)
                continue
            if arrived > self.S.arr(p, v, r):
                self.take("arrive", p, v, r, arrived)
            if received > self.S.rcv(p, v, r):
                self.take("receive", p, r, received)

    def hear(self, p, state):
        for told in state["syncs"]:
            q, c = told["from"], told["cid"]
            if q != p and not self.S.has(p, q, c):
                self.domains.add("P", q)
                self.take("receive_sync", p, q, self.domains.add("C", c))

    def forget(self, p, state):
        kept = {(told["from"], told["cid"]) for told in state["syncs"]}
        for q, c in [key for key in self.tables["has"].row(p) if key not in kept]:
            self.take("forget_sync", p, q, c)

    def free(self, p, v, state):
        """What is everywhere may be freed. That it is, others may show later than p knows it."""
        for r, freed in zip(self.members(v), state["freed"]):
            if freed <= self.S.frd(p, v, r):
                continue
            for q in self.members(v):
                if q != r and self.S.arr(q, v, r) < freed:
                    self.take("arrive", q, v, r, freed)
            self.take("free", p, r, freed)

    # ---- actions

    def on_start_change(self, p, action, _):
        self.take("start_change", p, self.domains.add("C", action["cid"]))

    def on_mbr_view(self, p, action, _):
        self.take("mbr_view", p, self.view(p, action["view"]))

    def on_block_ok(self, p, *_):
        self.take("block_ok", p)

    def on_sync(self, p, action, _):
        if self.S.cid(p) != action["cid"]:
            raise Refused(f"a sync message for {action['cid']} instead of {self.S.cid(p)}")
        members = self.members(self.S.cv(p))
        self.take("sync", p)
        cut = [self.S.cut(p, action["cid"], r) for r in members]
        if cut != action["cut"]:
            raise Refused(f"the cut is {action['cut']} instead of {cut}")

    def on_deliver(self, p, action, state):
        """All that a message of is delivered is within the bound; a packet counts once it is done."""
        r, v = action["from"], self.S.cv(p)
        if r not in self.members(v):
            raise Refused(f"a message of {r}, which is no member")
        at = self.members(v).index(r)
        touched, delivered = state["touched"][at], state["delivered"][at]
        by = next((x for x in [p, *self.members(v)] if self.may("deliver", p, r, touched, x)), None)
        if touched > self.S.dlv(p, v, r) and by is None:
            raise Refused(f"no cut allows to deliver packet {touched} of {r}")
        if delivered > self.S.dlv(p, v, r):
            self.take("deliver", p, r, delivered, by)

    def on_view(self, p, action, _):
        w = self.view(p, action["view"])
        if w != self.S.mv(p):
            raise Refused("another view is installed than was announced last")
        self.take("install", p)
        together = sorted(q for w_, q in self.tables["tra"].row(p) if w_ == w)
        if together != action["transitional"]:
            raise Refused(f"T is {action['transitional']} instead of {together}")

    # ---- states

    def compare(self, p, v, state):
        S, members = self.S, self.members(v)

        def sync(q, c):
            view = next(w for c_, w in self.tables["sv"].row(q) if c_ == c)
            cut = [S.cut(q, c, r) for r in self.members(view)]
            return self.named(q, view), cut

        def key(told):
            return tuple(told["view"]["id"]), told["view"]["start"]

        others = [i for i, r in enumerate(members) if r != p]
        modelled = {
            "cv": S.cv(p), "mv": S.mv(p), "cid": S.cid(p) if S.chg(p) else None,
            "blocked": S.blk(p), "sent": S.sent(p, v),
            "arrived": [S.arr(p, v, members[i]) for i in others],
            "received": [S.rcv(p, v, members[i]) for i in others],
            "delivered": [S.dlv(p, v, r) for r in members],
            "freed": [S.frd(p, v, r) for r in members],
            "syncs": {(q, c): sync(q, c) for q, c in self.tables["has"].row(p)},
        }
        own = state["arrived"][members.index(p)] + state["open"]
        shown = {
            "cv": v, "mv": self.view(p, state["mv"]), "cid": state["cid"],
            "blocked": state["blocked"], "sent": own,
            "arrived": [state["arrived"][i] for i in others],
            "received": [state["received"][i] for i in others],
            "delivered": state["delivered"], "freed": state["freed"],
            "syncs": {(s["from"], s["cid"]): (key(s), s["cut"]) for s in state["syncs"]},
        }
        differ = [f"{n} is {shown[n]}, modelled {modelled[n]}"
                  for n in modelled if modelled[n] != shown[n]]
        if differ:
            raise Refused(f"the states differ: {'; '.join(differ)}")

    def look(self):
        """Holds all that is proved of states against this one."""
        claims = self.model.properties(self.S) | self.model.invariants(self.S)
        broken = [claim for claim, holds in claims.items() if not holds]
        if broken:
            raise Refused(f"does not hold: {', '.join(broken)}")


class Replay:
    """All runs of a file."""

    def __init__(self, look_every):
        self.look_every = look_every
        self.groups, self.over = {}, set()
        self.runs = self.lines = self.looked = self.passed_over = 0
        self.taken, self.refused = collections.Counter(), []

    def line(self, line):
        run = line["run"]
        if line.get("end"):
            self.runs += 1
            for key in [key for key in self.groups if key[0] == run]:
                self.taken += self.groups.pop(key).taken
            self.over = {key for key in self.over if key[0] != run}
            return
        key = run, line["group"]
        action = line["action"]
        if action and action["is"] == "join" and action["order"] != "fifo":
            self.passed_over += key not in self.over
            self.over.add(key)
        if key in self.over:
            return
        group = self.groups.setdefault(key, Group())
        self.lines += 1
        try:
            group.step(line["process"], action, line["state"])
            if self.look_every and self.lines % self.look_every == 0:
                self.looked += 1
                group.look()
        except Refused as why:
            what = action["is"] if action else "something arrived"
            self.refused.append(f"run {run}, group {key[1]}, process {line['process']}, "
                                f"{what}: {why}")
            self.over.add(key)

    def read(self, file):
        for number, text in enumerate(file, 1):
            try:
                line = json.loads(text)
                if number == 1:
                    if line["steps"] != VERSION:
                        sys.exit(f"the steps have version {line['steps']}, and {VERSION} is read")
                    continue
                self.line(line)
            except (ValueError, KeyError, TypeError) as error:
                sys.exit(f"line {number} is no line of steps: {error!r}")

    def __str__(self):
        taken = ", ".join(f"{n} {name}" for name, n in self.taken.most_common())
        text = (f"{self.runs} runs, {self.lines} steps of the code, "
                f"{self.taken.total()} steps of the model ({taken})")
        if self.looked:
            text += f", all invariants in {self.looked} states"
        if self.passed_over:
            text += f"; {self.passed_over} groups of another order were passed over"
        return text


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("file", help="what `vs sim` or `vs explore` wrote with --steps")
    parser.add_argument("--invariants", type=int, default=0, metavar="N",
                        help="hold all invariants against every N-th state, which takes long")
    parser.add_argument("--expect-refusal", action="store_true",
                        help="a rule was left out: succeed only if a step is refused")
    args = parser.parse_args()
    began = time.monotonic()
    replay = Replay(args.invariants)
    try:
        with open(args.file, encoding="utf-8") as file:
            replay.read(file)
    except OSError as error:
        sys.exit(f"{args.file}: the steps cannot be read: {error.strerror}")
    for why in replay.refused[:1 if args.expect_refusal else REFUSED_SHOWN]:
        print(f"refused: {why}")
    print(f"{replay}; {len(replay.refused)} refused; {time.monotonic() - began:.0f} s")
    if not replay.taken:
        sys.exit("no step was replayed: that proves nothing")
    return bool(replay.refused) != args.expect_refusal


if __name__ == "__main__":
    sys.exit(main())
