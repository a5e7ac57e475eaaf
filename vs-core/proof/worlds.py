"""Runs of the model from its beginning, in a finite world: what is promised is looked at.

    python worlds.py endpoint [--mutant NAME] [--walks N] [--seed S] [--invariants]

A counterexample to induction shows that a proof breaks without a rule. A walk shows that a promise
does: its state is reached. Views are made when they are announced; those that nobody has spoken of
yet are taken as having been so all the time.
"""

import collections
import itertools
import random
import sys

import endpoint
import models
from logic import Finite, settle, tables

PROCESSES, CIDS, COUNTS, VIEWS, LIVES = 3, 8, 3, 5, 2
INITIAL = PROCESSES * LIVES
DOMAINS = {
    "P": range(PROCESSES), "V": range(INITIAL + VIEWS), "C": range(CIDS), "N": range(COUNTS),
    "I": range(VIEWS + 1), "Q": range(PROCESSES),
}
# How often each step is tried. Without weights hardly anybody ever goes with another one.
WEIGHTS = {
    "start_change": 2, "mbr_view": 8, "block_ok": 4, "send": 4, "arrive": 6, "receive": 12,
    "sync": 6, "receive_sync": 14, "forget_sync": 0.15, "deliver": 12, "install": 8, "free": 1,
    "release": 1, "reborn": 0.15,
}
# Steps that bring a count of a stream forth.
STREAM = {"arrive": "arr", "receive": "rcv", "deliver": "dlv", "free": "frd"}
LOOK_EVERY = 8
TRIES = 200


class Walk:
    def __init__(self, seed, mutant, invariants):
        self.rng, self.mutant, self.look = random.Random(seed), mutant, invariants
        self.L = Finite(DOMAINS)
        self.rigid = self.blank(endpoint.RIGID)
        self.state = self.blank(endpoint.VARS)
        for p, life in itertools.product(range(PROCESSES), range(LIVES)):
            v = p * LIVES + life
            self.rigid["mem"][v, p] = self.rigid["init"][v, p] = True
        for p in range(PROCESSES):
            self.state["cv"][p,] = self.state["mv"][p,] = p * LIVES
            self.state["was"][p, p * LIVES] = True
        for a, b in itertools.product(range(PROCESSES), repeat=2):
            # Each two processes of the three are a majority.
            self.rigid["among"][a, b] = a != b
            self.rigid["meet"][a, b] = next(p for p in range(PROCESSES) if p not in (a, b))
        self.made, self.log = [], []
        self.model = endpoint.Model(self.L, tables(self.rigid), mutant)
        self.actions = self.model.actions()
        assert all(self.model.axioms().values()) and self.model.initial(self.now())
        if self.rng.random() < 0.8:
            self.gather()

    def blank(self, functions):
        return {n: {key: False if result == "B" else 0 for key in self.L.tuples(args)}
                for n, (args, result) in functions.items()}

    def now(self):
        return tables(self.state)

    def do(self, name, *args):
        """Does a step; None if it is not enabled, else what is wrong with it."""
        S = self.now()
        guard, after = self.actions[name][1](S, *args)
        if not guard:
            return None
        claims = dict(self.model.steps(S)[name](*args)) if name in self.model.steps(S) else {}
        self.state = settle(endpoint, self.L, self.state, after)
        self.log.append((name, args))
        if name == "install":
            claims |= self.model.properties(self.now())
        if self.look and len(self.log) % LOOK_EVERY == 0:
            claims |= self.model.invariants(self.now())
        return [claim for claim, holds in claims.items() if not holds]

    def gather(self):
        """All come to one view."""
        v = self.make_view(range(PROCESSES), [1] * PROCESSES)
        for p in range(PROCESSES):
            for step in (("start_change", p, 1), ("mbr_view", p, v), ("block_ok", p), ("sync", p),
                         ("install", p)):
                assert self.do(*step) == [], step

    def make_view(self, members, starts):
        v = INITIAL + len(self.made)
        self.made.append(v)
        for p, c in zip(members, starts):
            self.rigid["mem"][v, p], self.rigid["start"][v, p] = True, c
        later = self.mutant != "M6"
        self.rigid["vid"][v,] = len(self.made) if later else self.rng.randint(1, VIEWS)
        return v

    def propose_view(self):
        """A view of some who wait for one, as a membership service makes it; or a strange one."""
        rng, S = self.rng, self.now()
        some = [p for p in range(PROCESSES) if S.pend(p)]
        if not some or len(self.made) == VIEWS or (len(some) < 2 and rng.random() < 0.93):
            return
        members = set(rng.sample(some, min(len(some), rng.choice([1, 2, 3, 3]))))
        members |= {p for p in some if rng.random() < 0.7}
        members |= {p for p in range(PROCESSES) if rng.random() < 0.08}
        odd = [min(CIDS - 1, rng.randint(0, S.lcid(p) + 1)) for p in members]
        starts = [S.lcid(p) if rng.random() < 0.9 else c for p, c in zip(members, odd)]
        self.make_view(members, starts)

    def parameters(self, name):
        """Parameters that have a chance; None if there are none."""
        rng, S = self.rng, self.now()
        p = rng.randrange(PROCESSES)
        if name == "start_change":
            c = S.lcid(p) + (0 if self.mutant == "M2" and rng.random() < 0.3 else 1)
            waits = rng.random() < (0.93 if S.pend(p) or S.chg(p) else 0.3)
            return None if waits or c >= CIDS else (p, c)
        if name == "mbr_view":
            if rng.random() < 0.3 or not any(self.rigid["mem"][v, p] for v in self.made):
                self.propose_view()
            known = [v for v in self.made if self.rigid["mem"][v, p]]
            return (p, rng.choice(known)) if known else None
        if name == "send":
            n = S.sent(p, S.cv(p)) + 1
            return (p, n) if n < COUNTS else None
        if name in STREAM:
            v = S.cv(p)
            r = rng.choice([q for q in range(PROCESSES) if self.rigid["mem"][v, q]])
            n = self.state[STREAM[name]][p, v, r] + 1
            by = (rng.randrange(PROCESSES),) if name == "deliver" else ()
            where = (v,) if name == "arrive" else ()
            return (p, *where, r, n, *by) if n < COUNTS else None
        args = (p, *[rng.choice(DOMAINS[s]) for s in self.actions[name][0][1:]])
        return None if self.idle(S, name, args) else args

    def idle(self, S, name, args):
        """The step would change nothing, or matters to nobody."""
        if name == "block_ok":
            return S.blk(*args)
        if name == "receive_sync":
            p, q, c = args
            false = not S.syn(q, c) and self.mutant != "not-received"
            return false or S.has(*args) or not self.rigid["mem"][S.cv(p), q]
        if name == "release":
            return S.rel(*args)
        return name == "forget_sync" and not S.has(*args)

    def step(self):
        """One step, if one is found; what is wrong with it."""
        for _ in range(TRIES):
            name = self.rng.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
            args = self.parameters(name)
            wrong = None if args is None else self.do(name, *args)
            if wrong is not None:
                return wrong
        return []

    def went(self):
        """How many views were left, pairs that went together, and such pairs that had said something."""
        came = [key for key, x in self.state["came"].items() if x]
        pairs = [(p, q, v) for (p, w, v), (q, x, u) in itertools.combinations(came, 2)
                 if (w, v) == (x, u)]
        said = [v for p, q, v in pairs if any(self.state["dlv"][p, v, r] for r in range(PROCESSES))]
        return collections.Counter(views_left=len(came), pairs=len(pairs), with_messages=len(said))


def walks(mutant=None, count=50, steps=120, seed=1, invariants=False):
    """The first walk that goes wrong and why, and what all walks came to."""
    total = collections.Counter()
    for k in range(count):
        walk = Walk(seed * 100_000 + k, mutant, invariants)
        for _ in range(steps):
            wrong = walk.step()
            if wrong:
                return k, walk, wrong, total
        total += walk.went() + collections.Counter(steps=len(walk.log))
    return None, None, [], total


def show(walk):
    for step in walk.log:
        print("   ", *step)
    for v in walk.made:
        members = [p for p in range(PROCESSES) if walk.rigid["mem"][v, p]]
        starts = [walk.rigid["start"][v, p] for p in members]
        print(f"    v{v} = <{walk.rigid['vid'][v,]}, {members}, {starts}>")


def main():
    parser = models.arguments(__doc__.split("\n", 1)[0])
    parser.add_argument("--walks", type=int, default=50, metavar="N")
    parser.add_argument("--steps", type=int, default=120, metavar="N", help="of each walk")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--invariants", action="store_true", help="look at the invariants, too")
    parser.add_argument("--show", action="store_true", help="print the walk that goes wrong")
    args, spec = models.parsed(parser)
    if spec is not endpoint:
        parser.error("only `endpoint` can be walked")
    name = args.mutant or args.model
    at, walk, wrong, total = walks(args.mutant, args.walks, args.steps, args.seed, args.invariants)
    if wrong:
        print(f"{name}: walk {at} breaks after {len(walk.log)} steps: {', '.join(wrong)}")
        if args.show:
            show(walk)
        return True
    said = ", ".join(f"{k.replace('_', ' ')} {n}" for k, n in total.items())
    print(f"{name}: nothing wrong in {args.walks} walks ({said})")
    return False


if __name__ == "__main__":
    sys.exit(main())
