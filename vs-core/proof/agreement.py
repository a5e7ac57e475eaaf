"""The agreement of servers on a view: the steps of `membership.py`, and what its views are made of.
"""

import membership
from membership import ORDERED, RIGID, SORTS, VARS

MUTANTS = {
    "D1": "who has used a proposal does not answer the next one",
    "count-again": "a server counts its proposals anew after a restart",
}
SUSPECTS = {
    "D1": ["hear: q4"],
    "count-again": ["restart: q1"],
}
SCOPE = {"P": 2, "S": 2, "A": 3, "R": 2, "X": 3, "V": 2, "C": 2, "I": 2, "N": 3, "M": 2}
FOLLOWS = {}


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
            L.And(S.knw(s, t), L.eq(R.rep(S.prp(s, t)), S.ns(s)),
                  L.le(R.pn(x), R.pn(S.prp(s, t))))))

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
            "views of one report and one number that differ": ("SSVV", lambda s, t, v, w: L.And(
                self.both(S, s, t, v, w), L.eq(R.vid(v), R.vid(w)), L.Not(self.same(v, w)))),
        }

    # ---- the inductive invariant

    def invariants(self, S):
        return self.of_proposals(S) | self.of_views(S)

    def of_proposals(self, S):
        L, R = self.L, self.R
        imp, And, Not, eq, le, all_ = L.Implies, L.And, L.Not, L.eq, L.le, L.forall
        return {
            "q1 proposals are counted": all_("X", lambda x: imp(S.made(x), And(
                le(R.pn(x), S.lpn(R.by(x))), L.lt(L.least("N"), R.pn(x))))),
            "q2 a count names a proposal": all_("XX", lambda x, y: imp(
                And(S.made(x), S.made(y), eq(R.by(x), R.by(y)), eq(R.pn(x), R.pn(y))), eq(x, y))),
            "q3 heard is what was proposed": all_("SS", lambda s, t: imp(S.knw(s, t), And(
                S.made(S.prp(s, t)), eq(R.by(S.prp(s, t)), t), Not(eq(s, t))))),
            "q4 who is in no change has used what it heard": all_("SS", lambda s, t: imp(
                And(Not(S.chg(s)), Not(S.gath(s)), S.knw(s, t), eq(R.rep(S.prp(s, t)), S.ns(s)),
                    self.concerns(S.ns(s), t), self.concerns(S.ns(s), s)),
                le(R.pn(S.prp(s, t)), S.used(s, t)))),
            "q5 the own one is the last": all_("S", lambda s: imp(
                L.Or(self.pending(S, s), S.sat(s)),
                And(S.made(S.mine(s)), eq(R.by(S.mine(s)), s), eq(R.pn(S.mine(s)), S.lpn(s)),
                    eq(R.slow(S.mine(s)), S.mode(s)),
                    imp(S.mode(s), eq(R.num(S.mine(s)), S.sent(s)))))),
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
        }
