"""Proves by induction that every reachable state keeps the invariants, and that the promises follow.

    python prove.py endpoint [--mutant NAME]
"""

import dataclasses
import sys
import time

import z3

import models
from logic import Smt, symbols


@dataclasses.dataclass
class Condition:
    """`goal` follows from `given`: not both `given` and the opposite of `goal` can be true."""

    name: str
    given: list
    goal: object

    def refutation(self):
        """A solver that holds what must not be satisfiable."""
        solver = z3.Solver()
        solver.add(*self.given, z3.Not(self.goal))
        return solver


def conditions(spec, mutant=None):
    L = Smt(spec.SORTS, spec.ORDERED)
    model, S = symbols(spec, L, mutant)
    axioms = [*L.axioms(), *model.axioms().values()]
    invariants = model.invariants(S)
    for name, fact in invariants.items():
        yield Condition(f"initially: {name}", [*axioms, model.initial(S)], fact)
    promised = model.steps(S)
    for action, (sorts, step) in model.actions().items():
        params = [L.const(s, f"{action}_{i}") for i, s in enumerate(sorts)]
        guard, after = step(S, *params)
        given = [*axioms, *invariants.values(), guard]
        for name, fact in model.invariants(after).items():
            yield Condition(f"{action}: {name}", given, fact)
        if action in promised:
            for name, fact in promised[action](*params).items():
                yield Condition(f"{action}: {name}", given, fact)
    yield from consequences(spec, model, S, axioms, invariants)


def consequences(spec, model, S, axioms, invariants):
    """Lemmas, and what is promised of every state."""
    lemmas = model.lemmas(S)
    known = invariants | lemmas
    earlier = dict(invariants)
    for kind, claims in (("lemma", lemmas), ("promised", model.properties(S))):
        for name, fact in claims.items():
            uses = spec.FOLLOWS.get(name.split()[0])
            if uses is None:
                facts = list(earlier.values())
            else:
                facts = [f for n, f in known.items() if n.split()[0] in uses and n in earlier]
            yield Condition(f"{kind}: {name}", [*axioms, *facts], fact)
            if kind == "lemma":
                earlier[name] = fact


def check(condition, timeout_ms):
    solver = condition.refutation()
    solver.set("timeout", timeout_ms)
    return solver.check()


def prove(spec, mutant=None, timeout_ms=10_000, only=""):
    """How many conditions there are, and the names of those that were not proved."""
    open_, count = [], 0
    for condition in conditions(spec, mutant):
        if only not in condition.name:
            continue
        count += 1
        result = check(condition, timeout_ms)
        if result != z3.unsat:
            open_.append(condition.name)
            print(f"  {result}: {condition.name}", flush=True)
    return count, open_


def main():
    parser = models.arguments("Proves all conditions of a model, or shows which fail in a mutant.")
    parser.add_argument("--timeout", type=int, default=10_000, metavar="MS", help="for each")
    parser.add_argument("--only", default="", metavar="TEXT", help="conditions with this in the name")
    args, spec = models.parsed(parser)
    began = time.monotonic()
    count, failed = prove(spec, args.mutant, args.timeout, args.only)
    print(f"{args.mutant or args.model}: {count - len(failed)} of {count} conditions hold "
          f"(z3 {z3.get_version_string()}, {time.monotonic() - began:.1f} s)")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
