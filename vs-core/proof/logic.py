"""One text of a model, two readings: formulas for a solver, or truth in a finite world.

A model module says `SORTS`, which of them are `ORDERED` (totally, with a least element), its
functions that never change (`RIGID`) and its state (`VARS`), and a `class Model(L, rigid, mutant)`
that is written once, against `L`, which is one of the classes below.
"""

import itertools

import z3


class Smt:
    """Formulas over uninterpreted sorts: any number of elements, infinitely many, too.

    An order is a relation with axioms; nothing of arithmetic is used.
    """

    true, false = z3.BoolVal(True), z3.BoolVal(False)
    And = staticmethod(lambda *facts: z3.And(*facts))
    Or = staticmethod(lambda *facts: z3.Or(*facts))
    Not = staticmethod(z3.Not)
    Implies = staticmethod(z3.Implies)
    If = staticmethod(z3.If)
    eq = staticmethod(lambda a, b: a == b)

    def __init__(self, sorts, ordered):
        self.ordered = ordered
        self.sort = {s: z3.DeclareSort(s) for s in sorts}
        self.order = {s: self.function(f"le{s}", s + s, "B") for s in ordered}
        self.fresh = itertools.count()

    def forall(self, sorts, body):
        xs = [self.const(s, f"{s.lower()}{next(self.fresh)}") for s in sorts]
        return z3.ForAll(xs, body(*xs))

    def exists(self, sorts, body):
        xs = [self.const(s, f"{s.lower()}{next(self.fresh)}") for s in sorts]
        return z3.Exists(xs, body(*xs))

    def const(self, sort, name):
        return z3.Const(name, self.sort[sort])

    def function(self, name, args, result):
        result = z3.BoolSort() if result == "B" else self.sort[result]
        if not args:
            value = z3.Const(name, result)
            return lambda: value
        return z3.Function(name, *[self.sort[a] for a in args], result)

    def least(self, sort):
        return self.const(sort, f"least{sort}")

    def le(self, a, b):
        return self.order[a.sort().name()](a, b)

    def lt(self, a, b):
        return self.And(self.le(a, b), self.Not(self.eq(a, b)))

    def axioms(self):
        """What an order is."""
        le, And, Or, Implies = self.le, self.And, self.Or, self.Implies
        for s in self.ordered:
            least = self.least(s)
            yield self.forall(s, lambda a: And(le(a, a), le(least, a)))
            yield self.forall(s + s, lambda a, b: And(
                Or(le(a, b), le(b, a)), Implies(And(le(a, b), le(b, a)), self.eq(a, b))))
            yield self.forall(s * 3, lambda a, b, c: Implies(And(le(a, b), le(b, c)), le(a, c)))


class Ground(Smt):
    """Formulas over sorts of a few elements, without quantifiers: a solver decides them."""

    def __init__(self, sorts, ordered, sizes):
        super().__init__(sorts, "")
        self.ordered, self.elements = ordered, {}
        for s in sorts:
            names = [f"{s.lower()}{i}" for i in range(sizes[s])]
            self.sort[s], self.elements[s] = z3.EnumSort(s, names)
        self.order = {s: self.function(f"le{s}", s + s, "B") for s in ordered}

    def forall(self, sorts, body):
        return z3.And(*[body(*xs) for xs in self.tuples(sorts)])

    def exists(self, sorts, body):
        return z3.Or(*[body(*xs) for xs in self.tuples(sorts)])

    def tuples(self, sorts):
        return itertools.product(*(self.elements[s] for s in sorts))

    def least(self, sort):
        return self.elements[sort][0]

    def axioms(self):
        """The elements come in the order of their names."""
        for s in self.ordered:
            for (i, a), (j, b) in itertools.product(enumerate(self.elements[s]), repeat=2):
                yield self.le(a, b) if i <= j else self.Not(self.le(a, b))


class Finite:
    """Truth. An element of an ordered sort is a number, the least one is 0."""

    true, false = True, False
    And = staticmethod(lambda *facts: all(facts))
    Or = staticmethod(lambda *facts: any(facts))
    Not = staticmethod(lambda fact: not fact)
    Implies = staticmethod(lambda a, b: (not a) or b)
    If = staticmethod(lambda c, a, b: a if c else b)
    eq = staticmethod(lambda a, b: a == b)
    le = staticmethod(lambda a, b: a <= b)
    lt = staticmethod(lambda a, b: a < b)
    least = staticmethod(lambda sort: 0)

    def __init__(self, domains):
        self.domains = domains

    def tuples(self, sorts):
        return itertools.product(*(self.domains[s] for s in sorts))

    def forall(self, sorts, body):
        return all(body(*xs) for xs in self.tuples(sorts))

    def exists(self, sorts, body):
        return any(body(*xs) for xs in self.tuples(sorts))


class State:
    """Functions by name. An update is another state."""

    def __init__(self, functions):
        self.functions = functions

    def __getattr__(self, name):
        try:
            return self.functions[name]
        except KeyError:
            raise AttributeError(name) from None

    def but(self, **updates):
        unknown = updates.keys() - self.functions.keys()
        assert not unknown, f"no such part of the state: {unknown}"
        return State({**self.functions, **updates})


def on(L, f, key, value):
    """`f` with another value at `key`; None in a key stands for any.

    The value may be a function of the whole key.
    """
    def updated(*args):
        here = L.And(*[L.eq(a, k) for a, k in zip(args, key) if k is not None])
        return L.If(here, value(*args) if callable(value) else value, f(*args))
    updated.change = key, value
    return updated


def symbols(spec, L, mutant=None):
    """The model of `spec` over the formulas of `L`, and a state of which nothing is known."""
    rigid = State({n: L.function(n, args, r) for n, (args, r) in spec.RIGID.items()})
    state = State({n: L.function(n, args, r) for n, (args, r) in spec.VARS.items()})
    return spec.Model(L, rigid, mutant), state


def table(entries):
    """A function that is a table."""
    def look(*key):
        return entries[key]
    look.entries = entries
    return look


def tables(by_name):
    return State({n: table(t) for n, t in by_name.items()})


def settle(spec, L, before, after):
    """The tables of the state `after`, which came from that of the tables `before`."""
    out = dict(before)
    for n, f in after.functions.items():
        if getattr(f, "entries", None) is None:
            out[n] = {key: f(*key) for key in L.tuples(spec.VARS[n][0])}
    return out
