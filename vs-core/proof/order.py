"""One order for all members of a view, as a transition system over the walk of its leader.

The order of a view is the walk over the packets of its leader: its *places*, each of which is a
message. The leader's stream never changes, so the walk is one for all. What decides is how much of
it a process has without a gap (all packets that the places up to there name), has acknowledged, and
has delivered as regular. The view and its end-points are below: what they promise is assumed.

Sorts: P the members of the view, N places (and counts of them), C local ids, X what the view can
end with: an announced view, with the transitional set that comes along to it.
"""

from logic import on

SORTS = "PNCX"
ORDERED = "NC"

RIGID = {
    "safe": ("", "B"),  # the order is Safe; else Total
    "tra": ("XP", "B"),  # p is in the transitional set
    "start": ("XP", "C"),  # the cid of p that the announced view names
    "agr": ("X", "N"),  # the places that the agreed cuts cover without a gap: before the hole
    "msf": ("X", "N"),  # the greatest `safe` over the transitional set
    "who": ("X", "P"),  # who said that one
}
VARS = {
    "held": ("P", "N"),  # the places that p has without a gap
    "ack": ("P", "N"),  # what p has acknowledged of them
    "know": ("PP", "N"),  # know(p, q): what p knows of q's acknowledgements
    "reg": ("P", "N"),  # delivered as regular
    "skp": ("PN", "B"),  # p left the place out
    "wit": ("P", "P"),  # by whose `safe` p delivered last
    "lcid": ("P", "C"),  # the last cid given to p
    "chg": ("P", "B"), "cid": ("P", "C"),  # the change under way
    "syn": ("PC", "B"),  # p sent its sync message for c
    "cut": ("PC", "N"),  # the places that its cut covers without a gap
    "sfz": ("PC", "N"),  # the `safe` in it
    "mat": ("P", "B"), "to": ("P", "X"),  # a view answers the change, and which
    "sig": ("P", "B"),  # p was told the signal
    "sgp": ("P", "N"),  # its place
    "gone": ("P", "B"),  # p has installed the view
    "dlv": ("P", "N"),  # the places that p had delivered by then without a gap
}
MUTANTS = {
    "R-cap": "what is acknowledged after the sync message may be beyond the own cut",
    "R-freeze": "after the sync message more is delivered as it becomes safe",
    "own-safe": "the own `safe` counts at the end, not the greatest of the transitional set",
    "hole": "delivery as regular goes on beyond a hole",
    "late": "something regular is delivered after the signal",
    "incomplete": "not all sync messages are waited for",
    "not-here": "the view ends before all that is agreed is here",
    "unknown": "a place is delivered in a Safe group that is not known to be everywhere",
}
SUSPECTS = {
    "R-cap": ["acknowledge: o3"],
    "R-freeze": ["deliver: o8"],
    "own-safe": ["signal: o10"],
    "hole": ["deliver: o12"],
    "late": ["deliver: o10"],
    "incomplete": ["signal: o10"],
    "not-here": ["leave: o11"],
    "unknown": ["deliver: o7"],
}
SCOPE = {"P": 3, "N": 3, "C": 2, "X": 2}
FOLLOWS = {
    "T4": ["o3", "o4", "o7", "o10", "o11"],
    "T5": ["o3", "o4", "o7", "o10", "o11", "o12"],
}


class Model:
    def __init__(self, L, rigid, mutant=None):
        self.L, self.R, self.mutant = L, rigid, mutant

    def keeps(self, rule):
        return self.mutant != rule

    def axioms(self):
        return {}

    def initial(self, S):
        L = self.L
        eq, Not, none = L.eq, L.Not, L.least("N")
        return L.And(
            L.forall("P", lambda p: L.And(
                *[eq(count(p), none) for count in (S.held, S.ack, S.reg)],
                *[Not(fact(p)) for fact in (S.chg, S.mat, S.sig, S.gone)],
                eq(S.lcid(p), L.least("C")))),
            L.forall("PP", lambda p, q: eq(S.know(p, q), none)),
            L.forall("PN", lambda p, n: Not(S.skp(p, n))),
            L.forall("PC", lambda p, c: Not(S.syn(p, c))))

    # ---- what follows from the state

    def committed(self, S, p):
        return self.L.And(S.chg(p), S.syn(p, S.cid(p)))

    def everywhere(self, S, p, n):
        """p knows that all members have the places up to n."""
        return self.L.forall("P", lambda q: self.L.le(n, S.know(p, q)))

    def complete(self, S, x):
        """All sync messages that count are out, and the numbers of x follow from them.

        This is what S8 and S10 stand on: the transitional set and the cuts are the same for all.
        """
        L, R = self.L, self.R

        def counted(q):
            c = R.start(x, q)
            return L.Implies(R.tra(x, q), L.And(
                S.syn(q, c), L.le(S.cut(q, c), R.agr(x)), L.le(S.sfz(q, c), R.msf(x))))

        w = R.who(x)
        return L.And(L.forall("P", counted), R.tra(x, w),
                     L.eq(R.msf(x), S.sfz(w, R.start(x, w))))

    def end(self, x):
        """The place of the signal."""
        return self.L.If(self.R.safe(), self.R.msf(x), self.R.agr(x))

    # ---- steps

    def actions(self):
        return {
            "hold": ("PN", self.hold),
            "acknowledge": ("PN", self.acknowledge),
            "hear": ("PPN", self.hear),
            "start_change": ("PC", self.start_change),
            "sync": ("PN", self.sync),
            "match": ("PX", self.match),
            "deliver": ("PNP", self.deliver),
            "signal": ("P", self.signal),
            "leave": ("P", self.leave),
        }

    def hold(self, S, p, n):
        L = self.L
        return L.And(L.Not(S.gone(p)), L.lt(S.held(p), n)), S.but(held=on(L, S.held, [p], n))

    def acknowledge(self, S, p, n):
        """R-cap: from the own sync message to the installation at most the own cut."""
        L = self.L
        capped = L.Implies(self.committed(S, p), L.le(n, S.cut(p, S.cid(p))))
        guard = L.And(L.Not(S.gone(p)), L.lt(S.ack(p), n), L.le(n, S.held(p)),
                      capped if self.keeps("R-cap") else L.true)
        return guard, S.but(ack=on(L, S.ack, [p], n))

    def hear(self, S, p, q, n):
        L = self.L
        return L.And(L.lt(S.know(p, q), n), L.le(n, S.ack(q))), S.but(
            know=on(L, S.know, [p, q], n))

    def start_change(self, S, p, c):
        """Once the signal is told the view ends with what was announced, whatever comes."""
        L = self.L
        return L.And(L.Not(S.sig(p)), L.lt(S.lcid(p), c)), S.but(
            lcid=on(L, S.lcid, [p], c), cid=on(L, S.cid, [p], c), chg=on(L, S.chg, [p], L.true),
            mat=on(L, S.mat, [p], L.false))

    def sync(self, S, p, n):
        """R-freeze: n is `safe`, the last place that p knows to be everywhere."""
        L, c = self.L, S.cid(p)
        known = L.Implies(self.R.safe(), L.And(self.everywhere(S, p, n), L.le(S.reg(p), n)))
        return L.And(S.chg(p), L.Not(S.syn(p, c)), known), S.but(
            syn=on(L, S.syn, [p, c], L.true), cut=on(L, S.cut, [p, c], S.held(p)),
            sfz=on(L, S.sfz, [p, c], n), wit=on(L, S.wit, [p], p))

    def match(self, S, p, x):
        """The view that answers the change is announced: I3, I4."""
        L, R = self.L, self.R
        guard = L.And(self.committed(S, p), L.Not(S.mat(p)), R.tra(x, p),
                      L.eq(R.start(x, p), S.cid(p)))
        return guard, S.but(mat=on(L, S.mat, [p], L.true), to=on(L, S.to, [p], x),
                            wit=on(L, S.wit, [p], p))

    def deliver(self, S, p, n, w):
        """As regular, up to n; once a view matches, by the `safe` of w."""
        L, R, x = self.L, self.R, S.to(p)
        own, his = S.cid(p), R.start(x, w)
        told = L.And(R.tra(x, w), S.syn(w, his), L.le(n, S.sfz(w, his)))
        known = self.everywhere(S, p, n) if self.keeps("unknown") else L.true
        frozen = L.And(L.eq(w, p), L.le(n, S.sfz(p, own)) if self.keeps("R-freeze") else known)
        safe = L.If(S.mat(p), told, L.If(self.committed(S, p), frozen, known))
        total = L.If(S.mat(p), L.le(n, R.agr(x)), L.Implies(
            self.committed(S, p), L.le(n, S.cut(p, own))))
        here, bound = L.le(n, S.held(p)), L.If(R.safe(), safe, total)
        before = L.And(L.Not(S.sig(p)), bound)
        guard = L.And(
            L.Not(S.gone(p)), L.lt(S.reg(p), n),
            before if self.keeps("late") else L.Or(S.sig(p), bound),
            here if self.keeps("hole") else L.true)
        return guard, S.but(reg=on(L, S.reg, [p], n), wit=on(L, S.wit, [p], w),
                            skp=on(L, S.skp, [p, n], L.Not(here)))

    def signal(self, S, p):
        L, x = self.L, S.to(p)
        end = self.end(x)
        if not self.keeps("own-safe"):
            end = L.If(self.R.safe(), S.sfz(p, S.cid(p)), self.R.agr(x))
        guard = L.And(S.mat(p), L.Not(S.sig(p)), L.eq(S.reg(p), end),
                      self.complete(S, x) if self.keeps("incomplete") else L.true)
        return guard, S.but(sig=on(L, S.sig, [p], L.true), sgp=on(L, S.sgp, [p], S.reg(p)))

    def leave(self, S, p):
        """What is agreed and was not regular is delivered, place by place; then the view is."""
        L, agreed = self.L, self.R.agr(S.to(p))
        here = L.le(agreed, S.held(p))
        rest = agreed if self.keeps("not-here") else L.If(here, agreed, S.held(p))
        guard = L.And(S.sig(p), L.Not(S.gone(p)), here if self.keeps("not-here") else L.true)
        return guard, S.but(gone=on(L, S.gone, [p], L.true), dlv=on(L, S.dlv, [p], rest))

    # ---- what is promised

    def properties(self, S):
        L, R = self.L, self.R
        imp, And, eq, le, all_ = L.Implies, L.And, L.eq, L.le, L.forall
        return {
            "T1 of two regular sequences one is a prefix of the other": all_(
                "PPN", lambda p, q, n: imp(
                    And(le(n, S.reg(p)), le(n, S.reg(q))), eq(S.skp(p, n), S.skp(q, n)))),
            "T2 the signal is at the same place": all_("PP", lambda p, q: imp(
                And(S.sig(p), S.sig(q), eq(S.to(p), S.to(q))), eq(S.sgp(p), S.sgp(q)))),
            "T2 the same was delivered": all_("PP", lambda p, q: imp(
                And(S.gone(p), S.gone(q), eq(S.to(p), S.to(q))),
                And(eq(S.reg(p), S.reg(q)), eq(S.dlv(p), S.dlv(q))))),
            "T2 nothing beyond the place of the signal was delivered before": all_(
                "P", lambda p: imp(And(S.mat(p), self.complete(S, S.to(p))),
                                   le(S.reg(p), self.end(S.to(p))))),
            "T4 what is regular in a Safe group is delivered by all who leave": all_(
                "PP", lambda p, q: imp(And(R.safe(), S.gone(q)), le(S.reg(p), S.dlv(q)))),
            "T5 after the same sequence": all_("PPN", lambda p, q, n: imp(
                And(R.safe(), S.gone(q), le(n, S.reg(p))),
                And(le(n, S.dlv(q)), L.Not(S.skp(p, n)), L.Not(S.skp(q, n))))),
            "T6 nothing regular after the signal": all_("P", lambda p: imp(
                S.sig(p), eq(S.reg(p), S.sgp(p)))),
            "T6 the signal is that of the view that comes": all_("P", lambda p: imp(
                S.gone(p), And(S.sig(p), R.tra(S.to(p), p)))),
        }

    def lemmas(self, S):
        return {}

    def steps(self, S):
        return {}

    def scenarios(self, S):
        """What has to be possible: name -> (sorts, fact)."""
        L, R = self.L, self.R

        def parted(p, q, n):
            return L.And(S.gone(p), S.gone(q), L.Not(L.eq(S.to(p), S.to(q))),
                         L.lt(L.least("N"), S.reg(p)), L.lt(S.reg(p), S.dlv(q)))

        def together(p, q, n):
            return L.And(S.gone(p), S.gone(q), L.Not(L.eq(p, q)), L.eq(S.to(p), S.to(q)),
                         L.lt(L.least("N"), S.reg(p)))

        return {f"{name}, {order}": ("PPN", lambda *a, fact=fact, kept=kept: L.And(
                    fact(*a), R.safe() if kept else L.Not(R.safe())))
                for name, fact in (("two part with messages", parted),
                                   ("two go together with messages", together))
                for order, kept in (("Safe", True), ("Total", False))}

    # ---- the inductive invariant

    def invariants(self, S):
        L, R = self.L, self.R
        imp, And, eq, le, all_ = L.Implies, L.And, L.eq, L.le, L.forall
        com = self.committed

        def own(p):
            c = S.cid(p)
            return L.If(R.safe(), le(S.reg(p), S.sfz(p, c)), le(S.reg(p), S.cut(p, c)))

        def agreed(p):
            x, w = S.to(p), S.wit(p)
            told = And(R.tra(x, w), S.syn(w, R.start(x, w)),
                       le(S.reg(p), S.sfz(w, R.start(x, w))))
            within = L.Or(le(S.reg(p), R.agr(x)), le(S.reg(p), S.cut(p, S.cid(p))))
            return L.If(R.safe(), told, within)

        return {
            "o1 acknowledged is what is held": all_("P", lambda p: le(S.ack(p), S.held(p))),
            "o2 known is what was acknowledged": all_("PP", lambda p, q: le(
                S.know(p, q), S.ack(q))),
            "o3 acknowledged is within the own cut": all_("P", lambda p: imp(
                com(S, p), le(S.ack(p), S.cut(p, S.cid(p))))),
            "o4 who ends with a view is named by it": all_("P", lambda p: And(
                imp(S.mat(p), And(com(S, p), R.tra(S.to(p), p),
                                  eq(R.start(S.to(p), p), S.cid(p)))),
                imp(S.sig(p), S.mat(p)))),
            "o5 cids so far": all_("P", lambda p: imp(S.chg(p), eq(S.cid(p), S.lcid(p)))),
            "o6 sync messages so far": all_("PC", lambda p, c: imp(
                S.syn(p, c), le(c, S.lcid(p)))),
            "o7 regular is what all have": all_("PP", lambda p, q: imp(
                R.safe(), le(S.reg(p), S.ack(q)))),
            "o8 regular is within what the own sync message says": all_("P", lambda p: imp(
                And(com(S, p), L.Not(S.mat(p))), own(p))),
            "o9 regular is within what those of T say": all_("P", lambda p: imp(
                S.mat(p), agreed(p))),
            "o10 the signal": all_("P", lambda p: imp(S.sig(p), And(
                eq(S.sgp(p), self.end(S.to(p))), eq(S.reg(p), S.sgp(p)),
                self.complete(S, S.to(p))))),
            "o11 the end": all_("P", lambda p: imp(S.gone(p), And(
                S.sig(p), eq(S.dlv(p), R.agr(S.to(p)))))),
            "o12 nothing regular is left out": all_("PN", lambda p, n: L.Not(S.skp(p, n))),
            "o13 what is said to be safe all have": all_("PCP", lambda p, c, q: imp(
                And(R.safe(), S.syn(p, c)), le(S.sfz(p, c), S.ack(q)))),
            "o14 regular is what is here": all_("P", lambda p: le(S.reg(p), S.held(p))),
        }
