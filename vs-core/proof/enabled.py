"""Shows that nothing is proved of nothing: the invariants can be true together with each guard.

    python enabled.py endpoint

`scenarios` of the model says what else has to be possible.
"""

import sys

import z3

import models
from logic import Ground, symbols


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
    return out


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
