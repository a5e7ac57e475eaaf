"""The agreement of servers on a view, over the steps of `membership.py`.

What views are made of, that servers which have settled are in one view, and that who waits for the
proposals of others has what it waits for once all that is under way has arrived.
"""

import membership
from membership import ORDERED, RIGID, SORTS, VARS

MUTANTS = {
    "join": "a higher number is not joined",
    "stored": "a number that was heard before is not joined",
    "D1": "who has used a proposal does not answer the next one",
    "D2": "who hears that its proposal was used does not answer",
    "D3": "who has passed a number does not answer it",
    "count-again": "a server counts its proposals anew after a restart",
}
SUSPECTS = {
    "join": ["hear: w1"],
    "stored": ["propose: w1", "propose: w3"],
    "D1": ["hear: q4"],
    "D2": ["hear: w2"],
    "D3": ["hear: w3"],
    "count-again": ["restart: q1"],
}
SCOPE = {"P": 2, "S": 2, "A": 3, "R": 2, "X": 3, "V": 2, "C": 3, "I": 2, "N": 3, "M": 2}
FOLLOWS = {}
PROPOSED = ["report", "begin", "start_change", "propose"]
ATTACHED = ["request", "request", "admit", "admit"]
DECIDED = ["hear", "hear", "decide", "decide"]
RUNS = {
    "two servers in a view, fast": ATTACHED + 2 * PROPOSED + DECIDED,
    "two servers in a view, slow": ATTACHED + 2 * PROPOSED + DECIDED,
    "views of one report and one number that differ": ATTACHED + 3 * PROPOSED + DECIDED,
}


class Model(membership.Model):
    def same(self, v, w):
        """Both are one triple."""
        L, R = self.L, self.R
        return L.And(
            L.eq(R.vid(v), R.vid(w)), L.eq(R.minor(v), R.minor(w)),
            L.forall("P", lambda p: L.And(
                L.eq(R.set(v, p), R.set(w, p)),
                L.Implies(R.set(v, p), L.eq(R.start(v, p), R.start(w, p))))))

    def heard_all(self, S, s):
        """s has heard the last proposal of each home, and that is for the report of s."""
        L, R = self.L, self.R
        return L.forall("SX", lambda t, x: L.Implies(
            L.And(self.concerns(S.ns(s), t), L.Not(L.eq(s, t)), S.made(x), L.eq(R.by(x), t)),
            L.And(S.known(s, t), L.eq(R.rep(S.prp(s, t)), S.ns(s)),
                  L.le(R.pn(x), R.pn(S.prp(s, t))))))

    def hears_last(self, S, s, t):
        """s has heard what t proposed last, and both have a say in the same report."""
        L, R = self.L, self.R
        return L.And(S.known(s, t), L.eq(S.prp(s, t), S.mine(t)), L.eq(S.ns(s), S.ns(t)),
                     L.eq(R.rep(S.mine(t)), S.ns(t)), self.matters(S, s, S.mine(t)))

    def each_heard(self, S, s, t):
        """s and t wait, and each has heard what the other one proposed last."""
        return self.L.And(self.pending(S, s), self.pending(S, t), self.hears_last(S, s, t),
                          self.hears_last(S, t, s))

    def both(self, S, s, t, v, w):
        """Views of one report."""
        return self.L.And(S.dec(s, v), S.dec(t, w), self.L.eq(self.R.of(v), self.R.of(w)))

    # ---- what is promised

    def steps(self, S):
        return {}

    def properties(self, S):
        L, R = self.L, self.R
        imp, And, eq, all_ = L.Implies, L.And, L.eq, L.forall

        def numbered(x, y):
            return And(R.slow(x), R.slow(y), eq(R.num(x), R.num(y)))

        once = all_("XX", lambda x, y: imp(
            And(S.made(x), S.made(y), numbered(x, y), eq(R.by(x), R.by(y)),
                eq(R.rep(x), R.rep(y))), eq(x, y)))
        return {
            "A1 the same proposals make the same view": all_("SSVV", lambda s, t, v, w: imp(
                And(self.both(S, s, t, v, w), all_("S", lambda u: imp(
                    self.concerns(R.of(v), u), eq(R.frm(v, u), R.frm(w, u))))),
                self.same(v, w))),
            "A2 settled servers are in one view": all_("SS", lambda s, t: imp(
                And(S.sat(s), S.sat(t), eq(S.ns(s), S.ns(t)),
                    self.heard_all(S, s), self.heard_all(S, t)),
                self.same(S.stl(s), S.stl(t)))),
            "A3 one number makes one view": imp(once, all_("SSVV", lambda s, t, v, w: imp(
                And(self.both(S, s, t, v, w), numbered(R.frm(v, s), R.frm(w, t))),
                self.same(v, w)))),
            "A4 a server makes one view of a proposal of its own": all_(
                "SVV", lambda s, v, w: imp(
                    And(S.dec(s, v), S.dec(s, w), eq(R.frm(v, s), R.frm(w, s))), eq(v, w))),
            "A5 who waits has what it waits for": all_("SS", lambda s, t: imp(
                And(self.pending(S, s), L.Or(self.pending(S, t), S.sat(t)),
                    self.hears_last(S, s, t), self.hears_last(S, t, s)),
                self.counts(S, s, t, S.prp(s, t)))),
            "A6 and its own": all_("S", lambda s: imp(
                self.pending(S, s), self.counts(S, s, s, S.mine(s)))),
        }

    def lemmas(self, S):
        L, R = self.L, self.R
        return {
            "l1 the last of each home": L.forall("SSX", lambda s, t, x: L.Implies(
                L.And(S.sat(s), self.heard_all(S, s), self.concerns(S.ns(s), t),
                      S.made(x), L.eq(R.by(x), t)),
                L.le(R.pn(x), R.pn(R.frm(S.stl(s), t))))),
        }

    def scenarios(self, S):
        L, R = self.L, self.R

        def two(s, t, v, slow):
            homes = [L.And(self.concerns(R.of(v), u), S.sat(u), L.eq(S.stl(u), v)) for u in (s, t)]
            modes = [R.slow(R.frm(v, u)) if slow else L.Not(R.slow(R.frm(v, u))) for u in (s, t)]
            return L.And(L.Not(L.eq(s, t)), *homes, *modes)

        return {
            "two servers in a view, fast": ("SSV", lambda s, t, v: two(s, t, v, False)),
            "two servers in a view, slow": ("SSV", lambda s, t, v: two(s, t, v, True)),
            "two wait and have heard each other, slow": ("SS", lambda s, t: L.And(
                S.mode(s), self.each_heard(S, s, t))),
            "two wait and have heard each other, fast": ("SS", lambda s, t: L.And(
                L.Not(S.mode(s)), self.each_heard(S, s, t))),
            "views of one report and one number that differ": ("SSVV", lambda s, t, v, w: L.And(
                self.both(S, s, t, v, w), L.eq(R.vid(v), R.vid(w)), L.Not(self.same(v, w)))),
        }

    # ---- the inductive invariant

    def invariants(self, S):
        return self.of_proposals(S) | self.of_answers(S) | self.of_views(S)

    def of_proposals(self, S):
        L, R = self.L, self.R
        imp, And, Not, eq, le, all_ = L.Implies, L.And, L.Not, L.eq, L.le, L.forall
        return {
            "q1 proposals are counted": all_("X", lambda x: imp(S.made(x), And(
                le(R.pn(x), S.lpn(R.by(x))), L.lt(L.least("N"), R.pn(x))))),
            "q2 a count names a proposal": all_("XX", lambda x, y: imp(
                And(S.made(x), S.made(y), eq(R.by(x), R.by(y)), eq(R.pn(x), R.pn(y))), eq(x, y))),
            "q3 heard is what was proposed": all_("SS", lambda s, t: imp(S.known(s, t), And(
                S.made(S.prp(s, t)), eq(R.by(S.prp(s, t)), t), Not(eq(s, t))))),
            "q4 who is in no change has used what it heard": all_("SS", lambda s, t: imp(
                And(Not(S.chg(s)), Not(S.gath(s)), S.known(s, t), eq(R.rep(S.prp(s, t)), S.ns(s)),
                    self.concerns(S.ns(s), t), self.concerns(S.ns(s), s)),
                le(R.pn(S.prp(s, t)), S.used(s, t)))),
            "q5 the own one is the last": all_("S", lambda s: imp(
                L.Or(self.pending(S, s), S.sat(s)),
                And(S.made(S.mine(s)), eq(R.by(S.mine(s)), s), eq(R.pn(S.mine(s)), S.lpn(s)),
                    eq(R.slow(S.mine(s)), S.mode(s)),
                    imp(S.mode(s), eq(R.num(S.mine(s)), S.sent(s)))))),
            "q6 it is new, and for the report": all_("S", lambda s: imp(self.pending(S, s), And(
                eq(R.rep(S.mine(s)), S.ns(s)), L.lt(S.used(s, s), R.pn(S.mine(s)))))),
        }

    def of_answers(self, S):
        """What calls for an answer was answered."""
        L, R = self.L, self.R
        imp, And, le, lt = L.Implies, L.And, L.le, L.lt

        def heard(claim):
            """Of all that was heard and matters to one who is not about to propose."""
            return L.forall("SS", lambda s, t: imp(
                And(L.Not(S.gath(s)), S.known(s, t), self.matters(S, s, S.prp(s, t))),
                claim(s, S.prp(s, t))))

        def waits(s, x):
            return And(R.slow(x), self.unused(S, s, x))

        return {
            "w1 numbers are joined": heard(
                lambda s, x: imp(waits(s, x), le(R.num(x), S.sent(s)))),
            "w2 the own one was not used": heard(
                lambda s, x: imp(S.chg(s), lt(R.ux(x, s), R.pn(S.mine(s))))),
            "w3 numbers lead to the slow mode": heard(
                lambda s, x: imp(And(S.chg(s), waits(s, x)), S.mode(s))),
            "w4 what is used is said": L.forall("SS", lambda s, t: imp(
                self.pending(S, s), le(S.used(s, t), R.ux(S.mine(s), t)))),
            "w5 used is what was proposed": L.forall("SS", lambda s, t: le(S.used(s, t), S.lpn(t))),
            "w6 said to be used, too": L.forall("XS", lambda x, t: imp(
                S.made(x), le(R.ux(x, t), S.lpn(t)))),
        }

    def of_views(self, S):
        L, R = self.L, self.R
        imp, And, Not, eq, all_ = L.Implies, L.And, L.Not, L.eq, L.forall
        return {
            "v1 views are what they are made of": all_("SV", lambda s, v: imp(
                S.dec(s, v), And(self.made_of(v), self.concerns(R.of(v), s)))),
            "v2 of proposals of the homes": all_("SVS", lambda s, v, t: imp(
                And(S.dec(s, v), self.concerns(R.of(v), t)),
                And(S.made(R.frm(v, t)), eq(R.by(R.frm(v, t)), t), eq(R.rep(R.frm(v, t)), R.of(v)),
                    imp(R.slow(R.frm(v, s)), And(
                        R.slow(R.frm(v, t)), eq(R.num(R.frm(v, t)), R.num(R.frm(v, s)))))))),
            "v3 of own ones that are over": all_("SV", lambda s, v: imp(
                And(S.dec(s, v), self.pending(S, s)),
                L.lt(R.pn(R.frm(v, s)), R.pn(S.mine(s))))),
            "v4 of own ones once": all_("SVV", lambda s, v, w: imp(
                And(S.dec(s, v), S.dec(s, w), eq(R.frm(v, s), R.frm(w, s))), eq(v, w))),
            "v5 settled in the last view": all_("S", lambda s: imp(S.sat(s), And(
                S.dec(s, S.stl(s)), Not(S.chg(s)), Not(S.gath(s)), eq(R.of(S.stl(s)), S.ns(s)),
                eq(R.frm(S.stl(s), s), S.mine(s))))),
            "v6 settled with what was used": all_("SS", lambda s, t: imp(
                And(S.sat(s), self.concerns(S.ns(s), t), Not(eq(s, t))),
                L.Or(eq(S.used(s, t), R.pn(R.frm(S.stl(s), t))), eq(S.used(s, t), L.least("N"))))),
            "v7 settled in the fast mode": all_("SS", lambda s, t: imp(
                And(S.sat(s), self.concerns(S.ns(s), t), Not(eq(s, t)), Not(R.slow(S.mine(s)))),
                And(Not(R.slow(R.frm(S.stl(s), t))),
                    L.lt(R.ux(R.frm(S.stl(s), t), s), R.pn(S.mine(s)))))),
        }
