"""Shows that nothing is proved of nothing: the invariants can be true together with each guard.

    python enabled.py endpoint

`scenarios` of the model says what else has to be possible. `RUNS` of it, if there are any, name the
steps by which a scenario is reached from the beginning.
"""

import sys

import z3

import models
from logic import Ground, State, symbols


def enabled(spec):
    """name -> whether it can be true with all invariants, in the model's small scope."""
    L = Ground(spec.SORTS, spec.ORDERED, spec.SCOPE)
    model, S = symbols(spec, L)
    solver = z3.Solver()
    solver.add(*L.axioms(), *model.axioms().values(), *model.invariants(S).values())
    facts = {"the invariants": ("", lambda: L.true)}
    facts |= {n: (sorts, lambda *p, step=step: step(S, *p)[0])
              for n, (sorts, step) in model.actions().items()}
    facts |= model.scenarios(S)
    out = {}
    for name, (sorts, fact) in facts.items():
        solver.push()
        solver.add(fact(*[L.const(s, f"{name}_{i}") for i, s in enumerate(sorts)]))
        out[name] = solver.check() == z3.sat
        solver.pop()
    for name, steps in getattr(spec, "RUNS", {}).items():
        out[f"reached: {name}"] = reached(spec, L, name, steps)
    return out


def reached(spec, L, name, steps):
    """Whether these steps, with whatever parameters, can lead from the beginning to a scenario."""
    model, S = symbols(spec, L)
    solver = z3.Solver()
    solver.add(*L.axioms(), *model.axioms().values(), model.initial(S))
    for i, action in enumerate(steps):
        sorts, step = model.actions()[action]
        guard, after = step(S, *[L.const(s, f"{action}{i}_{k}") for k, s in enumerate(sorts)])
        named = {n: L.function(f"{n}{i}", *sorts) for n, sorts in spec.VARS.items()}
        solver.add(guard, *[named[n](*key) == f(*key) for n, f in after.functions.items()
                            for key in L.tuples(spec.VARS[n][0])])
        S = State(named)
    sorts, fact = model.scenarios(S)[name]
    solver.add(fact(*[L.const(s, f"{name}{i}") for i, s in enumerate(sorts)]))
    return solver.check() == z3.sat


def main():
    parser = models.arguments(__doc__.split("\n", 1)[0])
    args, spec = models.parsed(parser)
    if args.mutant is not None:
        parser.error("a mutant has weaker guards: there is nothing to ask of it")
    found = enabled(spec)
    for name, possible in found.items():
        print(f"{'possible' if possible else 'NOT POSSIBLE'}: {name}")
    return not all(found.values())


if __name__ == "__main__":
    sys.exit(main())
