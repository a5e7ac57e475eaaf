"""For a rule that is left out: a counterexample to induction in a small scope.

    python cti.py endpoint --mutant NAME [--show]

All invariants hold before the step, and one does not after it. The solver finds the two states, and
the finite reading of the same model judges them again: an error of the solver, or of the way to it,
would show. Only the conditions that `SUSPECTS` of the model names are tried.
"""

import dataclasses
import sys
import time

import z3

import models
from logic import Finite, Ground, settle, symbols, tables


@dataclasses.dataclass
class Counterexample:
    condition: str
    action: str
    arguments: list
    rigid: dict
    state: dict


def suspects(spec, mutant):
    """By action, the first words of what the step may break."""
    out = {}
    for suspect in spec.SUSPECTS[mutant]:
        action, name = suspect.split(": ")
        out.setdefault(action, []).append(name)
    return out


def search(spec, mutant, timeout_ms=60_000):
    L = Ground(spec.SORTS, spec.ORDERED, spec.SCOPE)
    model, S = symbols(spec, L, mutant)
    known = [*L.axioms(), *model.axioms().values(), *model.invariants(S).values()]
    for action, names in suspects(spec, mutant).items():
        sorts, step = model.actions()[action]
        params = [L.const(s, f"{action}_{i}") for i, s in enumerate(sorts)]
        guard, after = step(S, *params)
        goals = model.invariants(after)
        if action in model.steps(S):
            goals |= model.steps(S)[action](*params)
        solver = z3.Solver()
        solver.set("timeout", timeout_ms)
        solver.add(*known, guard)
        for name, goal in goals.items():
            if name.split()[0] not in names:
                continue
            solver.push()
            solver.add(z3.Not(goal))
            if solver.check() == z3.sat:
                yield read(spec, L, solver.model(), name, action, params)
            solver.pop()


def read(spec, L, found, name, action, params):
    """The tables of a solver's model."""
    index = {s: {e.decl().name(): i for i, e in enumerate(es)} for s, es in L.elements.items()}

    def value(term, sort):
        term = found.eval(term, model_completion=True)
        return z3.is_true(term) if sort == "B" else index[sort][term.decl().name()]

    def read_all(functions):
        out = {}
        for n, (args, result) in functions.items():
            f = L.function(n, args, result)
            out[n] = {
                tuple(value(x, s) for x, s in zip(key, args)): value(f(*key), result)
                for key in L.tuples(args)
            }
        return out

    arguments = [value(p, p.sort().name()) for p in params]
    return Counterexample(name, action, arguments, read_all(spec.RIGID), read_all(spec.VARS))


def judge(spec, mutant, found):
    """Why the finite reading does not take it for a counterexample; None if it does."""
    domains = {s: range(n) for s, n in spec.SCOPE.items()}
    L = Finite(domains)
    model = spec.Model(L, tables(found.rigid), mutant)
    S = tables(found.state)
    before = model.axioms() | model.invariants(S)
    if not all(before.values()):
        return f"does not hold before: {[n for n, ok in before.items() if not ok]}"
    guard, after = model.actions()[found.action][1](S, *found.arguments)
    if not guard:
        return "the step is not enabled"
    after = tables(settle(spec, L, found.state, after))
    goals = model.invariants(after)
    if found.action in model.steps(S):
        goals |= model.steps(S)[found.action](*found.arguments)
    return None if not goals[found.condition] else "holds after the step"


def refute(spec, mutant, timeout_ms=60_000):
    """Counterexamples, judged; each with what speaks against it."""
    return [(c, judge(spec, mutant, c)) for c in search(spec, mutant, timeout_ms)]


def show(spec, found):
    """The state before the step, without what is false, least, or nothing of interest."""
    print(f"  {found.action}{tuple(found.arguments)} breaks: {found.condition}")
    for functions, values in ((spec.RIGID, found.rigid), (spec.VARS, found.state)):
        for n, (args, result) in functions.items():
            said = [
                "".join(f"{s.lower()}{x} " for s, x in zip(args, key)).strip()
                + ("" if result == "B" else f": {result.lower()}{value}")
                for key, value in values[n].items() if value
            ]
            if said:
                print(f"    {n:6} {', '.join(said)}")


def main():
    parser = models.arguments(__doc__.split("\n", 1)[0])
    parser.add_argument("--timeout", type=int, default=60_000, metavar="MS", help="for each")
    parser.add_argument("--show", action="store_true", help="print the first one")
    args, spec = models.parsed(parser)
    if args.mutant is None:
        parser.error("name a rule to leave out: --mutant NAME")
    began = time.monotonic()
    found = refute(spec, args.mutant, args.timeout)
    for counterexample, against in found:
        verdict = "judged again" if against is None else f"NOT CONFIRMED: {against}"
        print(f"{args.mutant}: {counterexample.action}: {counterexample.condition} ({verdict})")
    print(f"{args.mutant}: {len(found)} counterexamples to induction "
          f"in {time.monotonic() - began:.1f} s")
    if args.show and found:
        show(spec, found[0][0])
    return not found or any(against is not None for _, against in found)


if __name__ == "__main__":
    sys.exit(main())
