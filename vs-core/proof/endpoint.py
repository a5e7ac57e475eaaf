"""The algorithm of Keidar and Khazan as a transition system, for any number of processes and views.

MBRSHP, CO_RFIFO and the end-points (virtual synchrony, transitional sets, self delivery) together.
A stream is what one process sends in one view. What matters of it is how much: a count.

Sorts: P processes, V views, C local ids (cids), I view ids, N counts, Q majorities of the
configured processes.
"""

from logic import on

SORTS = "PVCINQ"
ORDERED = "CIN"

# name: (sorts of the arguments, sort of the result); B is truth
RIGID = {
    "mem": ("VP", "B"),  # p is in v.set
    "start": ("VP", "C"),  # v.start(p)
    "vid": ("V", "I"),  # v.id
    "init": ("VP", "B"),  # v is an initial singleton view of p; each life has its own
    "among": ("QP", "B"),  # p belongs to the majority
    "meet": ("QQ", "P"),  # somebody who belongs to both
}
VARS = {
    # MBRSHP, over all lives of p
    "lcid": ("P", "C"),  # the last cid given to p
    "lvid": ("P", "I"),  # the last view id given to p
    "pend": ("P", "B"),  # a start_change came, and no view since
    # the end-point, in this life
    "cv": ("P", "V"),  # the view that p is in
    "mv": ("P", "V"),  # the view announced last
    "chg": ("P", "B"),  # there is a start_change
    "cid": ("P", "C"),  # its cid
    "blk": ("P", "B"),  # the application has stopped sending
    "has": ("PPC", "B"),  # has(p, q, c): p has the sync message of q for c
    # sync messages as they were sent
    "syn": ("PC", "B"),  # p sent one for c
    "now": ("PC", "B"),  # in this life
    "sv": ("PCV", "B"),  # p sent it in v
    "cut": ("PCP", "N"),  # its cut
    # streams: what was sent in v; of r's stream in v, what p ever had of it and did with it
    "sent": ("PV", "N"),
    "arr": ("PVP", "N"),  # arrived without a gap
    "rcv": ("PVP", "N"),  # received: of that, what ends with a whole message
    "dlv": ("PVP", "N"),  # delivered
    "wit": ("PVP", "P"),  # by whose cut it was delivered
    "frd": ("PVP", "N"),  # freed: known to be everywhere
    "rel": ("PV", "B"),  # p has given up all packets of v
    # history, which nothing is decided by
    "was": ("PV", "B"),  # p has been in v
    "came": ("PVV", "B"),  # came(p, w, v): p went from v to w
    "prv": ("P", "V"),  # the view that p was in before cv(p)
    "tra": ("PVP", "B"),  # tra(p, w, q): q was in the transitional set with which p came to w
    "ann": ("PV", "B"),  # v was announced to p in this life
    "top": ("P", "I"),  # the highest id of the views that p was ever in
    "lat": ("PP", "C"),  # the last sync message of q that p has heard is for this cid
}
MUTANTS = {
    "cut-delivered": "the cut is what was delivered, not what was received",
    "no-blocking": "messages are sent between the sync message and the view",
    "obsolete": "a view is installed that does not answer the last start_change",
    "latest-sync": "the latest sync message of q counts, not that for v.start(q)",
    "no-own-cut": "no bound on delivery between the sync message and the view",
    "incomplete": "not all sync messages are waited for",
    "not-agreed": "a view is installed before all that is agreed is delivered",
    "bound-all": "the cuts of those who come from another view bound delivery, too",
    "sync-again": "another sync message is sent for the same cid",
    "M2": "a cid is given again",
    "M2-crash": "cids begin anew with another life",
    "M4": "a view does not carry the last cid of p",
    "M5": "two views come for one start_change",
    "M6": "view ids do not increase",
    "not-received": "a sync message is received that was not sent",
    "free-delivered": "a packet is freed when it is delivered, whoever lacks it",
    "release-early": "the packets of a view are given up before all of T have moved",
}
# Conditions that fail without the rule: where a counterexample to induction is looked for.
SUSPECTS = {
    "cut-delivered": ["sync: d5"],
    "no-blocking": ["send: d5", "sync: d4"],
    "obsolete": ["start_change: a8", "sync: e2", "install: s4", "install: S23"],
    "latest-sync": ["deliver: e2", "install: f1", "install: f3"],
    "no-own-cut": ["deliver: e1"],
    "incomplete": ["install: f1", "install: f3"],
    "not-agreed": ["install: f3"],
    "bound-all": ["deliver: e2"],
    "sync-again": ["sync: e2", "sync: f3"],
    "M2": ["start_change: c4", "start_change: s3", "start_change: e1"],
    "M2-crash": ["reborn: c5", "reborn: c6"],
    "M4": ["mbr_view: c3"],
    "M5": ["mbr_view: e2"],
    "M6": ["mbr_view: a6", "mbr_view: a8"],
    "not-received": ["receive_sync: s5"],
    "free-delivered": ["free: g1"],
    "release-early": ["release: g4"],
}
# How many elements of each sort a counterexample, or an example, may need.
SCOPE = {"P": 3, "V": 4, "C": 3, "I": 3, "N": 2, "Q": 1}
# From which of the facts a claim follows: a hint for the solver, which need not look at the others.
FOLLOWS = {
    "l1": ["f3", "f4"],
    "S4": ["a10"],
    "S8": ["l1"],
    "S10": ["a3", "s1", "s4", "f2"],
    "S14": ["a3", "s4", "f3", "f4", "f5", "d6", "s2"],
}


class Model:
    def __init__(self, L, rigid, mutant=None):
        self.L, self.R, self.mutant = L, rigid, mutant

    def keeps(self, rule):
        return self.mutant != rule

    def axioms(self):
        L, R = self.L, self.R
        return {
            "an initial view has one member": L.forall("VPP", lambda v, p, q: L.Implies(
                R.init(v, p), L.And(R.mem(v, p), L.Implies(R.mem(v, q), L.eq(q, p))))),
            "it comes before all others": L.forall("VP", lambda v, p: L.Implies(R.init(v, p), L.And(
                L.eq(R.vid(v), L.least("I")), L.eq(R.start(v, p), L.least("C"))))),
            "two majorities meet": L.forall("QQ", lambda a, b: L.And(
                R.among(a, R.meet(a, b)), R.among(b, R.meet(a, b)))),
        }

    def initial(self, S):
        L, R = self.L, self.R
        And, Not, eq, least = L.And, L.Not, L.eq, L.least
        return And(
            L.forall("P", lambda p: And(
                R.init(S.cv(p), p), eq(S.mv(p), S.cv(p)),
                Not(S.chg(p)), Not(S.blk(p)), Not(S.pend(p)), eq(S.lcid(p), least("C")),
                eq(S.lvid(p), least("I")), eq(S.top(p), least("I")))),
            L.forall("PVP", lambda p, v, r: And(*[
                eq(count(p, v, r), least("N")) for count in (S.arr, S.rcv, S.dlv, S.frd)])),
            L.forall("PV", lambda p, v: And(
                eq(S.sent(p, v), least("N")), eq(S.was(p, v), eq(v, S.cv(p))), Not(S.ann(p, v)),
                Not(S.rel(p, v)))),
            L.forall("PC", lambda p, c: And(Not(S.syn(p, c)), Not(S.now(p, c)))),
            L.forall("PCV", lambda p, c, v: Not(S.sv(p, c, v))),
            L.forall("PPC", lambda p, q, c: Not(S.has(p, q, c))),
            L.forall("PVV", lambda p, v, w: Not(S.came(p, v, w))),
            L.forall("PVP", lambda p, v, q: Not(S.tra(p, v, q))),
        )

    # ---- what follows from the state

    def committed(self, S, p):
        """The sync message for the change under way is out."""
        return self.L.And(S.chg(p), S.syn(p, S.cid(p)))

    def matched(self, S, p):
        """The view announced last can be installed once all is there."""
        L, R = self.L, self.R
        answers = L.true
        if self.keeps("obsolete"):
            answers = L.eq(R.start(S.mv(p), p), S.cid(p))
        later = L.lt(R.vid(S.cv(p)), R.vid(S.mv(p)))
        return L.And(S.chg(p), R.mem(S.mv(p), p), answers, later)

    def both(self, v, w, q):
        return self.L.And(self.R.mem(v, q), self.R.mem(w, q))

    def together(self, S, v, w, q):
        """By its sync message q goes from v to w."""
        return self.L.And(self.both(v, w, q), S.sv(q, self.R.start(w, q), v))

    def named(self, S, p, q):
        """The cid of q's sync message that counts for p."""
        return self.R.start(S.mv(p), q) if self.keeps("latest-sync") else S.lat(p, q)

    def counts(self, S, p, q):
        """q belongs to the transitional set, as far as p knows."""
        c = self.named(S, p, q)
        return self.L.And(self.both(S.cv(p), S.mv(p), q), S.has(p, q, c), S.sv(q, c, S.cv(p)))

    # ---- steps: each gives its guard and the state after it

    def actions(self):
        """name: (sorts of the parameters, step)"""
        return {
            "start_change": ("PC", self.start_change),
            "mbr_view": ("PV", self.mbr_view),
            "block_ok": ("P", self.block_ok),
            "send": ("PN", self.send),
            "arrive": ("PVPN", self.arrive),
            "receive": ("PPN", self.receive),
            "sync": ("P", self.sync),
            "receive_sync": ("PPC", self.receive_sync),
            "forget_sync": ("PPC", self.forget_sync),
            "deliver": ("PPNP", self.deliver),
            "install": ("P", self.install),
            "free": ("PPN", self.free),
            "release": ("PV", self.release),
            "reborn": ("PV", self.reborn),
        }

    def start_change(self, S, p, c):
        """MBRSHP. M3 is not used: safety does not depend on it."""
        L = self.L
        new = L.lt(S.lcid(p), c) if self.keeps("M2") else L.le(S.lcid(p), c)
        return new, S.but(
            lcid=on(L, S.lcid, [p], c), pend=on(L, S.pend, [p], L.true),
            chg=on(L, S.chg, [p], L.true), cid=on(L, S.cid, [p], c))

    def mbr_view(self, S, p, v):
        """MBRSHP. M1 is the first of the guards."""
        L, R = self.L, self.R
        last = S.lvid(p) if self.keeps("M6") else L.least("I")
        guard = L.And(
            R.mem(v, p),
            L.lt(last, R.vid(v)),
            S.pend(p) if self.keeps("M5") else L.true,
            L.eq(R.start(v, p), S.lcid(p)) if self.keeps("M4") else L.true)
        return guard, S.but(
            lvid=on(L, S.lvid, [p], R.vid(v)), pend=on(L, S.pend, [p], L.false),
            mv=on(L, S.mv, [p], v), ann=on(L, S.ann, [p, v], L.true))

    def block_ok(self, S, p):
        return S.chg(p), S.but(blk=on(self.L, S.blk, [p], self.L.true))

    def send(self, S, p, n):
        L, v = self.L, S.cv(p)
        may = L.Not(S.blk(p)) if self.keeps("no-blocking") else L.true
        return L.And(may, L.lt(S.sent(p, v), n)), S.but(
            sent=on(L, S.sent, [p, v], n), arr=on(L, S.arr, [p, v, p], n),
            rcv=on(L, S.rcv, [p, v, p], n))

    def arrive(self, S, p, v, r, n):
        """CO_RFIFO, repair, forwarding: whatever way it came, it was sent.

        It may come late, in a view that p has left: that harms nobody.
        """
        L = self.L
        guard = L.And(L.Not(L.eq(r, p)), S.was(p, v), self.R.mem(v, r),
                      L.lt(S.arr(p, v, r), n), L.le(n, S.sent(r, v)))
        return guard, S.but(arr=on(L, S.arr, [p, v, r], n))

    def receive(self, S, p, r, n):
        """Up to the end of a message."""
        L, v = self.L, S.cv(p)
        guard = L.And(self.R.mem(v, r), L.lt(S.rcv(p, v, r), n), L.le(n, S.arr(p, v, r)))
        return guard, S.but(rcv=on(L, S.rcv, [p, v, r], n))

    def sync(self, S, p):
        L, c, v = self.L, S.cid(p), S.cv(p)
        once = L.Not(S.syn(p, c)) if self.keeps("sync-again") else L.true
        stopped = S.blk(p) if self.keeps("no-blocking") else L.true
        prefix = S.rcv if self.keeps("cut-delivered") else S.dlv
        return L.And(S.chg(p), stopped, once), S.but(
            syn=on(L, S.syn, [p, c], L.true),
            sv=on(L, S.sv, [p, c, None], lambda _p, _c, w: L.eq(w, v)),
            cut=on(L, S.cut, [p, c, None], lambda _p, _c, r: prefix(p, v, r)),
            has=on(L, S.has, [p, p, c], L.true), now=on(L, S.now, [p, c], L.true),
            lat=on(L, S.lat, [p, p], c), wit=on(L, S.wit, [p, v, None], p))

    def receive_sync(self, S, p, q, c):
        L = self.L
        sent = S.syn(q, c) if self.keeps("not-received") else L.true
        return sent, S.but(has=on(L, S.has, [p, q, c], L.true), lat=on(L, S.lat, [p, q], c))

    def forget_sync(self, S, p, q, c):
        """What is kept within a bound may be gone: any sync message, at any time."""
        return self.L.true, S.but(has=on(self.L, S.has, [p, q, c], self.L.false))

    def deliver(self, S, p, r, n, x):
        """Up to n; once a view matches, by the cut of x."""
        L, v, c = self.L, S.cv(p), self.named(S, p, x)
        counts = self.counts(S, p, x)
        if not self.keeps("bound-all"):
            counts = L.And(self.both(v, S.mv(p), x), S.has(p, x, c))
        agreed = L.And(counts, L.le(n, S.cut(x, c, r)))
        own = L.eq(x, p)
        if self.keeps("no-own-cut"):
            own = L.And(own, L.le(n, S.cut(p, S.cid(p), r)))
        bound = L.Implies(self.committed(S, p), L.If(self.matched(S, p), agreed, own))
        guard = L.And(
            self.R.mem(v, r), L.lt(S.dlv(p, v, r), n), L.le(n, S.rcv(p, v, r)), bound)
        return guard, S.but(dlv=on(L, S.dlv, [p, v, r], n), wit=on(L, S.wit, [p, v, r], x))

    def install(self, S, p):
        """Of the packets, those of the view that is left are kept."""
        L, R, v, w = self.L, self.R, S.cv(p), S.mv(p)
        complete = L.forall("P", lambda q: L.Implies(
            self.both(v, w, q), S.has(p, q, self.named(S, p, q))))
        agreed = L.forall("PP", lambda q, r: L.Implies(
            L.And(self.counts(S, p, q), R.mem(v, r)),
            L.le(S.cut(q, self.named(S, p, q), r), S.dlv(p, v, r))))
        guard = L.And(
            self.committed(S, p), self.matched(S, p),
            complete if self.keeps("incomplete") else L.true,
            agreed if self.keeps("not-agreed") else L.true)
        return guard, S.but(
            came=on(L, S.came, [p, w, v], L.true),
            tra=on(L, S.tra, [p, w, None], lambda _p, _w, q: self.counts(S, p, q)),
            was=on(L, S.was, [p, w], L.true), top=on(L, S.top, [p], R.vid(w)),
            cv=on(L, S.cv, [p], w), prv=on(L, S.prv, [p], v),
            chg=on(L, S.chg, [p], L.false), blk=on(L, S.blk, [p], L.false),
            rel=on(L, S.rel, [p, None], lambda _p, u: L.Not(L.Or(L.eq(u, v), L.eq(u, w)))))

    def free(self, S, p, r, n):
        """What is delivered here and known to be at all members is freed.

        What is known of another is true: what has arrived stays so.
        """
        L, v = self.L, S.cv(p)
        everywhere = L.forall("P", lambda q: L.Implies(
            self.R.mem(v, q), L.le(n, S.arr(q, v, r))))
        guard = L.And(self.R.mem(v, r), L.lt(S.frd(p, v, r), n), L.le(n, S.dlv(p, v, r)),
                      everywhere if self.keeps("free-delivered") else L.true)
        return guard, S.but(frd=on(L, S.frd, [p, v, r], n))

    def release(self, S, p, v):
        """The packets of the view before are given up once all of T are known to have moved."""
        L, w = self.L, S.cv(p)
        moved = L.forall("P", lambda q: L.Implies(S.tra(p, w, q), S.was(q, w)))
        guard = L.And(S.came(p, w, v), moved if self.keeps("release-early") else L.true)
        return guard, S.but(rel=on(L, S.rel, [p, v], L.true))

    def reborn(self, S, p, v):
        """A life ends, another begins, and remembers nothing. Its sync messages stay under way."""
        L = self.L
        return L.And(self.R.init(v, p), L.Not(S.was(p, v))), S.but(
            cv=on(L, S.cv, [p], v), mv=on(L, S.mv, [p], v), was=on(L, S.was, [p, v], L.true),
            chg=on(L, S.chg, [p], L.false), blk=on(L, S.blk, [p], L.false),
            pend=on(L, S.pend, [p], L.false), now=on(L, S.now, [p, None], L.false),
            rel=on(L, S.rel, [p, None], lambda _p, u: L.Not(L.eq(u, v))),
            has=on(L, S.has, [p, None, None], L.false), ann=on(L, S.ann, [p, None], L.false),
            lcid=S.lcid if self.keeps("M2-crash") else on(L, S.lcid, [p], L.least("C")))

    # ---- what is promised

    def properties(self, S):
        L, R = self.L, self.R
        imp, And, eq, all_ = L.Implies, L.And, L.eq, L.forall
        return {
            "S1 self inclusion": all_("P", lambda p: R.mem(S.cv(p), p)),
            "S4 primary views are ordered by their ids": all_("QQVV", lambda a, b, v, w: imp(
                And(self.installed(S, a, v), self.installed(S, b, w), eq(R.vid(v), R.vid(w)),
                    L.lt(L.least("I"), R.vid(v))), eq(v, w))),
            "S4 of two primary views somebody installed both": all_(
                "QQVV", lambda a, b, v, w: imp(
                    And(self.installed(S, a, v), self.installed(S, b, w)),
                    And(S.was(R.meet(a, b), v), S.was(R.meet(a, b), w)))),
            "S8 virtual synchrony": all_("PPVVP", lambda p, q, v, w, r: imp(
                And(S.came(p, w, v), S.came(q, w, v), R.mem(v, r)),
                eq(S.dlv(p, v, r), S.dlv(q, v, r)))),
            "S9 T within both": all_("PPVV", lambda p, q, v, w: imp(
                And(S.came(p, w, v), S.tra(p, w, q)), self.both(v, w, q))),
            "S10 T = who comes from the same view": all_("PPVVV", lambda p, q, v, u, w: imp(
                And(S.came(p, w, v), S.came(q, w, u)), eq(S.tra(p, w, q), eq(u, v)))),
            "S12 S13 a prefix of what was sent": all_("PVP", lambda p, v, r: imp(
                R.mem(v, r), L.le(S.dlv(p, v, r), S.sent(r, v)))),
            "S14 self delivery": all_("PVV", lambda p, v, w: imp(
                S.came(p, w, v), eq(S.dlv(p, v, p), S.sent(p, v)))),
            "I11 what is agreed is there to be had": all_("PPP", lambda p, q, r: imp(
                And(self.waits_for(S, p, q), R.mem(S.cv(p), r)), self.can_give(S, p, q, r))),
        }

    def waits_for(self, S, p, q):
        """p may install its view, q comes along, lives since it said so, and has not gone on."""
        L, v, w = self.L, S.cv(p), S.mv(p)
        return L.And(
            self.committed(S, p), self.matched(S, p), self.together(S, v, w, q),
            S.now(q, self.R.start(w, q)), L.Or(L.eq(S.cv(q), v), L.eq(S.cv(q), w)))

    def can_give(self, S, p, q, r):
        """q holds all of its cut that p lacks."""
        L, v = self.L, S.cv(p)
        return L.And(
            L.Not(S.rel(q, v)), L.le(S.frd(q, v, r), S.arr(p, v, r)),
            L.le(S.cut(q, self.R.start(S.mv(p), q), r), S.arr(q, v, r)))

    def installed(self, S, majority, v):
        return self.L.forall("P", lambda p: self.L.Implies(
            self.R.among(majority, p), S.was(p, v)))

    def lemmas(self, S):
        """What follows from the invariants, said by itself to make what is promised easy."""
        L, R = self.L, self.R
        return {
            "l1 nobody delivered more": L.forall("PPVVP", lambda p, q, v, w, r: L.Implies(
                L.And(S.came(p, w, v), S.came(q, w, v), R.mem(v, r)),
                L.le(S.dlv(p, v, r), S.dlv(q, v, r)))),
        }

    def steps(self, S):
        """What is promised of a step: action -> what gives it, from the parameters."""
        return {"install": lambda p: self.installation(S, p)}

    def installation(self, S, p):
        L, R = self.L, self.R
        return {
            "S2 ids increase, over all lives": L.lt(S.top(p), R.vid(S.mv(p))),
            "S21 nothing sent since the sync message": L.eq(
                S.cut(p, S.cid(p), p), S.sent(p, S.cv(p))),
            "S23 no later start_change": L.And(
                L.Not(S.pend(p)), L.eq(R.start(S.mv(p), p), S.lcid(p))),
            "S24 announced in this life": S.ann(p, S.mv(p)),
            "S24 never was in it before": L.Not(S.was(p, S.mv(p))),
        }

    def scenarios(self, S):
        """What has to be possible: name -> (sorts, fact)."""
        L, R = self.L, self.R

        def third_may_follow(p, q, x, v, w):
            said = L.lt(L.least("N"), S.dlv(p, v, q)), L.lt(L.least("N"), S.dlv(q, v, p))
            apart = [L.Not(L.eq(a, b)) for a, b in ((p, q), (p, x), (q, x))]
            return L.And(S.came(p, w, v), S.came(q, w, v), *said, *apart,
                         L.eq(S.cv(x), v), L.eq(S.mv(x), w), self.install(S, x)[0])

        return {
            "two went together with messages, a third may follow": ("PPPVV", third_may_follow),
            "a majority has installed a view": ("QV", lambda a, v: L.And(
                self.installed(S, a, v), L.lt(L.least("I"), R.vid(v)))),
            "one waits for a packet of another who has moved": ("PPPV", lambda p, q, r, v: L.And(
                self.waits_for(S, p, q), L.eq(S.cv(p), v), L.eq(S.cv(q), S.mv(p)),
                L.lt(S.arr(p, v, r), S.cut(q, R.start(S.mv(p), q), r)))),
        }

    # ---- the inductive invariant

    def invariants(self, S):
        return (self.of_views(S) | self.of_cids(S) | self.of_sync_messages(S)
                | self.of_streams(S) | self.of_cuts(S) | self.of_the_gone(S) | self.of_packets(S))

    def of_views(self, S):
        L, R = self.L, self.R
        imp, And, Not, eq, all_ = L.Implies, L.And, L.Not, L.eq, L.forall
        return {
            "a1 in its views": all_("P", lambda p: And(R.mem(S.cv(p), p), R.mem(S.mv(p), p))),
            "a2 was in cv": all_("P", lambda p: S.was(p, S.cv(p))),
            "a3 left one view for another": all_("PVV", lambda p, v, w: imp(S.came(p, w, v), And(
                S.was(p, v), S.was(p, w), R.mem(v, p), R.mem(w, p)))),
            "a4 what is left is left": all_("PVV", lambda p, v, w: imp(
                S.came(p, w, v), Not(eq(S.cv(p), v)))),
            "a5 left once": all_("PVVV", lambda p, v, w, u: imp(
                And(S.came(p, w, v), S.came(p, u, v)), eq(w, u))),
            "a6 ids so far": all_("P", lambda p: And(
                L.le(R.vid(S.cv(p)), S.top(p)), L.le(S.top(p), S.lvid(p)))),
            "a7 announced": all_("P", lambda p: L.Or(R.init(S.mv(p), p), S.ann(p, S.mv(p)))),
            "a8 not yet installed": all_("P", lambda p: imp(self.matched(S, p), And(
                eq(R.vid(S.mv(p)), S.lvid(p)), L.lt(S.top(p), S.lvid(p))))),
            "a9 of the past": all_("PV", lambda p, v: imp(
                S.was(p, v), L.le(R.vid(v), S.top(p)))),
            "a10 one view for an id": all_("PVV", lambda p, v, w: imp(
                And(S.was(p, v), S.was(p, w), eq(R.vid(v), R.vid(w)),
                    L.lt(L.least("I"), R.vid(v))), eq(v, w))),
        }

    def of_cids(self, S):
        """M2, M4, M5: what a cid names."""
        L, R = self.L, self.R
        imp, And, eq, all_ = L.Implies, L.And, L.eq, L.forall
        return {
            "c1 the change is the last": all_("P", lambda p: imp(
                S.chg(p), eq(S.cid(p), S.lcid(p)))),
            "c2 pending, so changing": all_("P", lambda p: imp(S.pend(p), S.chg(p))),
            "c3 announced for a cid given": all_("P", lambda p: L.le(
                R.start(S.mv(p), p), S.lcid(p))),
            "c4 not yet answered": all_("P", lambda p: imp(
                S.pend(p), L.lt(R.start(S.mv(p), p), S.lcid(p)))),
            "c5 views of the past": all_("PV", lambda p, v: imp(S.was(p, v), And(
                L.le(R.start(v, p), S.lcid(p)),
                imp(S.chg(p), L.lt(R.start(v, p), S.lcid(p)))))),
            "c6 sync messages of the past": all_("PC", lambda p, c: imp(
                S.syn(p, c), L.le(c, S.lcid(p)))),
        }

    def of_sync_messages(self, S):
        """I1, I3: a sync message is a constant and says where its sender comes from."""
        L, R = self.L, self.R
        imp, And, eq, all_ = L.Implies, L.And, L.eq, L.forall
        return {
            "s1 in one view": all_("PCVV", lambda p, c, v, w: imp(
                And(S.sv(p, c, v), S.sv(p, c, w)), eq(v, w))),
            "s2 sent from a view of its own": all_("PCV", lambda p, c, v: imp(
                S.sv(p, c, v), And(S.syn(p, c), R.mem(v, p)))),
            "s3 committed from cv": all_("P", lambda p: imp(
                self.committed(S, p), S.sv(p, S.cid(p), S.cv(p)))),
            "s4 came from where it said": all_("PVV", lambda p, v, w: imp(
                S.came(p, w, v), S.sv(p, R.start(w, p), v))),
            "s5 only what was sent is received": all_("PPC", lambda p, q, c: imp(
                S.has(p, q, c), S.syn(q, c))),
        }

    def of_streams(self, S):
        L, R = self.L, self.R
        imp, And, eq, le, all_ = L.Implies, L.And, L.eq, L.le, L.forall
        return {
            "d1 delivered <= received <= arrived <= sent": all_("PVP", lambda p, v, r: imp(
                R.mem(v, r), And(le(S.dlv(p, v, r), S.rcv(p, v, r)),
                                 le(S.rcv(p, v, r), S.arr(p, v, r)),
                                 le(S.arr(p, v, r), S.sent(r, v))))),
            "d2 has all its own": all_("PV", lambda p, v: imp(
                R.mem(v, p), eq(S.rcv(p, v, p), S.sent(p, v)))),
            "d3 nothing sent where it was not": all_("PV", lambda p, v: imp(
                L.Not(S.was(p, v)), eq(S.sent(p, v), L.least("N")))),
            "d4 committed, so blocked": all_("P", lambda p: imp(self.committed(S, p), S.blk(p))),
            "d5 all own in the cut": all_("P", lambda p: imp(
                self.committed(S, p), eq(S.cut(p, S.cid(p), p), S.sent(p, S.cv(p))))),
            "d6 cuts are of what was sent": all_("PCVP", lambda p, c, v, r: imp(
                And(S.sv(p, c, v), R.mem(v, r)), le(S.cut(p, c, r), S.sent(r, v)))),
        }

    def of_cuts(self, S):
        """I5: what is delivered is within what is agreed, and by whose cut."""
        L, R = self.L, self.R
        And, le = L.And, L.le

        def own(p, r):
            v = S.cv(p)
            return And(L.eq(S.wit(p, v, r), p), le(S.dlv(p, v, r), S.cut(p, S.cid(p), r)))

        def agreed(p, r):
            v, w = S.cv(p), S.mv(p)
            x = S.wit(p, v, r)
            return And(self.together(S, v, w, x),
                       le(S.dlv(p, v, r), S.cut(x, R.start(w, x), r)))

        return {
            "e1 within the own cut": L.forall("PP", lambda p, r: L.Implies(
                And(self.committed(S, p), L.Not(self.matched(S, p)), R.mem(S.cv(p), r)),
                own(p, r))),
            "e2 within the agreed cut": L.forall("PP", lambda p, r: L.Implies(
                And(self.committed(S, p), self.matched(S, p), R.mem(S.cv(p), r)),
                agreed(p, r))),
        }

    def of_the_gone(self, S):
        """Of those who have left a view, what stays true for ever."""
        L, R = self.L, self.R
        imp, And, eq, all_ = L.Implies, L.And, L.eq, L.forall

        def no_more(p, v, w, r):
            x = S.wit(p, v, r)
            return And(self.together(S, v, w, x),
                       L.le(S.dlv(p, v, r), S.cut(x, R.start(w, x), r)))

        return {
            "f1 all had said where they are": all_("PVVP", lambda p, v, w, q: imp(
                And(S.came(p, w, v), self.both(v, w, q)), S.syn(q, R.start(w, q)))),
            "f2 T": all_("PVVP", lambda p, v, w, q: imp(
                S.came(p, w, v), eq(S.tra(p, w, q), self.together(S, v, w, q)))),
            "f3 all that is agreed": all_("PVVPP", lambda p, v, w, q, r: imp(
                And(S.came(p, w, v), self.together(S, v, w, q), R.mem(v, r)),
                L.le(S.cut(q, R.start(w, q), r), S.dlv(p, v, r)))),
            "f4 no more": all_("PVVP", lambda p, v, w, r: imp(
                And(S.came(p, w, v), R.mem(v, r)), no_more(p, v, w, r))),
            "f5 all own were in its cut": all_("PVV", lambda p, v, w: imp(
                S.came(p, w, v), eq(S.cut(p, R.start(w, p), p), S.sent(p, v)))),
        }

    def of_packets(self, S):
        """I11: who holds what is agreed."""
        L, R = self.L, self.R
        imp, And, le, all_ = L.Implies, L.And, L.le, L.forall
        return {
            "g1 freed is what all members have": all_("PPVP", lambda p, q, v, r: imp(
                And(R.mem(v, p), R.mem(v, r)), le(S.frd(q, v, r), S.arr(p, v, r)))),
            "g2 all of cv is kept": all_("P", lambda p: L.Not(S.rel(p, S.cv(p)))),
            "g3 where it was before": all_("P", lambda p: L.Or(
                R.init(S.cv(p), p), S.came(p, S.cv(p), S.prv(p)))),
            "g4 of the view before until T has moved": all_("PP", lambda p, q: imp(
                And(S.came(p, S.cv(p), S.prv(p)), S.rel(p, S.prv(p)), S.tra(p, S.cv(p), q)),
                S.was(q, S.cv(p)))),
            "g5 had what is in its cuts": all_("PCVP", lambda p, c, v, r: imp(
                And(S.sv(p, c, v), R.mem(v, r)), le(S.cut(p, c, r), S.arr(p, v, r)))),
        }
