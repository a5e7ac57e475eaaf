"""The membership service as it is built (Moshe), for one group, any number of servers and clients.

Clients attach, lose their connection, move to another server, die and come back; servers come to
know of all that in any order, forget, and are restarted. What the notification service reports is
anything at all, but as clients of the server itself it names such as that has admitted. What a
server learns of numbers is anything, too: new ones only have to be above it.

Two guards are assumptions on clocks: `remembers` of `admit`, on those of clients, and that of
`restart`, on those of servers.

Sorts: P processes, S servers, A attachments, R reports, X proposals, V views, C cids, I view
numbers (of a view's id, the part that counts first), N counts of a server's proposals, M numbers of
slow proposals.
"""

from logic import on

SORTS = "PSARXVCINM"
ORDERED = "CINM"

RIGID = {
    # an attachment: one request of a client to be a member, and what it claims
    "who": ("A", "P"),
    "to": ("A", "S"),
    "clc": ("A", "C"),  # cids are above this: what it was given, and when its life began
    "clv": ("A", "I"),  # view numbers, too
    # a report: who can be in the next view
    "mem": ("RP", "B"),
    "at": ("RP", "A"),  # by which attachment, and so at which home
    "some": ("RS", "P"),  # a client of s in r, if there is one
    "low": ("R", "S"),  # the least of the homes
    # a proposal
    "by": ("X", "S"),
    "rep": ("X", "R"),
    "pn": ("X", "N"),
    "vn": ("X", "I"),
    "slow": ("X", "B"),
    "num": ("X", "M"),
    "said": ("XP", "C"),
    "ux": ("XS", "N"),  # which of the other's proposals its server used last
    # a view: the report and the proposals that it is made of, and what it is
    "of": ("V", "R"),
    "frm": ("VS", "X"),
    "vid": ("V", "I"),
    "top": ("V", "P"),  # a member whose home proposed it
    "minor": ("V", "S"),
    "set": ("VP", "B"),
    "start": ("VP", "C"),
}
VARS = {
    # clients; what was given is what was received
    "lcid": ("P", "C"),  # the last cid, over all lives
    "lvid": ("P", "I"),  # the last view number, over all lives
    "hcid": ("P", "C"),  # the same in this life, or what the life began with: its clock
    "hvid": ("P", "I"),
    "newc": ("P", "B"),  # it was given no cid in this life
    "newv": ("P", "B"),  # no view
    "cur": ("P", "A"),  # the last attachment that it asked for
    "lst": ("P", "B"),  # it listens to that
    "pend": ("P", "B"),  # a start_change came, and no view since, in this attachment
    "told": ("P", "R"),  # the set of that start_change
    # attachments
    "ask": ("A", "B"),  # asked for
    "adm": ("A", "B"),  # was admitted
    # servers: clients
    "loc": ("SP", "B"),  # p is attached here
    "att": ("SP", "A"),  # by this attachment
    "cids": ("SP", "C"),  # the highest cid that is known
    "maxv": ("S", "I"),
    # servers: agreement
    "ns": ("S", "R"),
    "chg": ("S", "B"),  # a change is under way
    "gath": ("S", "B"),  # it will propose: until then no view is made
    "ann": ("S", "R"),  # what was announced
    "fresh": ("SP", "B"),  # p was given a cid for it
    "given": ("SP", "C"),  # this one
    "lpn": ("S", "N"),
    "mine": ("S", "X"),
    "mode": ("S", "B"),  # slow
    "sent": ("S", "M"),  # the number of its last slow proposal
    "known": ("SS", "B"),
    "prp": ("SS", "X"),  # the last proposal that was heard
    "used": ("SS", "N"),
    # history, which nothing is decided by
    "made": ("X", "B"),
    "dec": ("SV", "B"),  # s made v
    "stl": ("S", "V"),  # the last view that s made
    "sat": ("S", "B"),  # there is one, and no change since
}
MUTANTS = {
    "clock": "neither the clock nor the server is above what an earlier life was given",
    "claims": "a client does not tell what it was given",
    "floor": "a server does not raise its numbers to what a client claims",
    "forget-attached": "a cid is forgotten though its process is attached",
    "same-cid": "a cid is given again",
    "vnum": "a view number is proposed that is not above all that are known",
    "other-attachment": "a view goes to whoever is attached, by whatever attachment",
    "grown": "a set that has grown is proposed without new cids",
    "not-given": "another cid is proposed than was given",
    "no-wait": "a view is made while a proposal waits to be made",
    "unasked": "a view is made while no change is under way",
}
SUSPECTS = {
    "clock": ["admit: n3", "admit: n4"],
    "claims": ["request: n1", "request: n2"],
    "floor": ["admit: n3", "admit: n4"],
    "forget-attached": ["forget: n3"],
    "same-cid": ["start_change: M2"],
    "vnum": ["propose: n5"],
    "other-attachment": ["decide: M4", "decide: M5"],
    "grown": ["propose: h2"],
    "not-given": ["propose: h3"],
    "no-wait": ["decide: M3", "decide: M4", "decide: M6"],
    "unasked": ["decide: M5", "decide: M6"],
}
SCOPE = {"P": 2, "S": 2, "A": 3, "R": 2, "X": 3, "V": 2, "C": 3, "I": 3, "N": 3, "M": 2}
FOLLOWS = {}


class Model:
    def __init__(self, L, rigid, mutant=None):
        self.L, self.R, self.mutant = L, rigid, mutant

    def keeps(self, rule):
        return self.mutant != rule

    def axioms(self):
        L, R = self.L, self.R
        return {
            "a report names attachments of its processes": L.forall("RP", lambda r, p: L.Implies(
                R.mem(r, p), L.eq(R.who(R.at(r, p)), p))),
            "some client, if there is any": L.forall("RSP", lambda r, s, p: L.Implies(
                self.own(r, s, p), self.own(r, s, R.some(r, s)))),
        }

    def initial(self, S):
        L = self.L
        And, Not, eq, least = L.And, L.Not, L.eq, L.least
        return And(
            L.forall("P", lambda p: And(
                Not(S.lst(p)), Not(S.pend(p)), eq(S.lcid(p), least("C")),
                eq(S.lvid(p), least("I")))),
            L.forall("A", lambda a: And(Not(S.ask(a)), Not(S.adm(a)))),
            L.forall("SP", lambda s, p: And(Not(S.loc(s, p)), Not(S.fresh(s, p)))),
            L.forall("S", lambda s: And(
                Not(S.chg(s)), Not(S.gath(s)), Not(S.sat(s)), Not(self.concerns(S.ns(s), s)))),
            L.forall("SS", lambda s, t: And(Not(S.known(s, t)), eq(S.used(s, t), least("N")))),
            L.forall("X", lambda x: Not(S.made(x))),
            L.forall("SV", lambda s, v: Not(S.dec(s, v))),
        )

    # ---- what follows from the state

    def own(self, r, s, p):
        """p is a client of s in the report."""
        return self.L.And(self.R.mem(r, p), self.L.eq(self.R.to(self.R.at(r, p)), s))

    def concerns(self, r, s):
        """s has clients in the report."""
        return self.own(r, s, self.R.some(r, s))

    def within(self, r, q):
        """All of r are in q, by the same attachments."""
        L, R = self.L, self.R
        return L.forall("P", lambda p: L.Implies(
            R.mem(r, p), L.And(R.mem(q, p), L.eq(R.at(r, p), R.at(q, p)))))

    def hears(self, S, s, p):
        """p hears what s says to it."""
        return self.L.And(S.lst(p), S.loc(s, p), self.L.eq(S.att(s, p), S.cur(p)))

    def unused(self, S, s, x):
        return self.L.lt(S.used(s, self.R.by(x)), self.R.pn(x))

    def matters(self, S, s, x):
        """x is for the report of s, of one who has a say in it, as s has."""
        L, R, r = self.L, self.R, S.ns(s)
        return L.And(L.eq(R.rep(x), r), self.concerns(r, R.by(x)), self.concerns(r, s))

    def taken(self, S, s, t):
        """The proposal of t as s has it."""
        return self.L.If(self.L.eq(s, t), S.mine(s), S.prp(s, t))

    def admitted(self, S, s, r):
        """The own clients in the report were admitted; some may have gone, or attached anew."""
        return self.L.forall("P", lambda p: self.L.Implies(
            self.own(r, s, p), S.adm(self.R.at(r, p))))

    def max(self, a, b):
        return self.L.If(self.L.le(a, b), b, a)

    # ---- steps

    def actions(self):
        return {
            "request": ("PA", self.request),
            "lose": ("P", self.lose),
            "reborn": ("PCI", self.reborn),
            "admit": ("SA", self.admit),
            "leave": ("SP", self.leave),
            "learn": ("SPCI", self.learn),
            "forget": ("SP", self.forget),
            "report": ("SR", self.report),
            "follow": ("SR", self.follow),
            "begin": ("S", self.begin),
            "start_change": ("SPC", self.start_change),
            "propose": ("SX", self.propose),
            "hear": ("SX", self.hear),
            "decide": ("SV", self.decide),
            "forget_server": ("SS", self.forget_server),
            "restart": ("SNR", self.restart),
        }

    def request(self, S, p, a):
        """A client asks to be a member, and tells what it was given in this life."""
        L, R = self.L, self.R
        true = L.And(L.le(S.hcid(p), R.clc(a)), L.le(S.hvid(p), R.clv(a)))
        guard = L.And(L.Not(S.ask(a)), L.eq(R.who(a), p), true if self.keeps("claims") else L.true)
        return guard, S.but(
            ask=on(L, S.ask, [a], L.true), cur=on(L, S.cur, [p], a), lst=on(L, S.lst, [p], L.true),
            pend=on(L, S.pend, [p], L.false))

    def lose(self, S, p):
        """It listens no more: what was under way to it is lost."""
        L = self.L
        return L.true, S.but(
            lst=on(L, S.lst, [p], L.false), pend=on(L, S.pend, [p], L.false))

    def reborn(self, S, p, c, i):
        """A life ends, another begins with its clock, and remembers nothing."""
        L = self.L
        return L.true, S.but(
            hcid=on(L, S.hcid, [p], c), hvid=on(L, S.hvid, [p], i),
            newc=on(L, S.newc, [p], L.true), newv=on(L, S.newv, [p], L.true),
            lst=on(L, S.lst, [p], L.false), pend=on(L, S.pend, [p], L.false))

    def remembers(self, S, s, a):
        """Of who was given nothing in this life, its clock or the server is above what its earlier
        lives were given."""
        L, R, p = self.L, self.R, self.R.who(a)
        cid, view = self.max(S.cids(s, p), R.clc(a)), self.max(S.maxv(s), R.clv(a))
        return L.Implies(L.And(S.lst(p), L.eq(S.cur(p), a)), L.And(
            L.Implies(S.newc(p), L.le(S.lcid(p), cid)),
            L.Implies(S.newv(p), L.le(S.lvid(p), view))))

    def admit(self, S, s, a):
        """Whatever was asked for may be admitted late, but once."""
        L, R = self.L, self.R
        p = R.who(a)
        after = S.but(
            adm=on(L, S.adm, [a], L.true), loc=on(L, S.loc, [s, p], L.true),
            att=on(L, S.att, [s, p], a))
        if self.keeps("floor"):
            after = after.but(
                cids=on(L, S.cids, [s, p], self.max(S.cids(s, p), R.clc(a))),
                maxv=on(L, S.maxv, [s], self.max(S.maxv(s), R.clv(a))))
        clock = self.remembers(S, s, a) if self.keeps("clock") else L.true
        return L.And(S.ask(a), L.Not(S.adm(a)), L.eq(R.to(a), s), clock), after

    def leave(self, S, s, p):
        """p is attached to s no more, as far as s knows."""
        return self.L.true, S.but(loc=on(self.L, S.loc, [s, p], self.L.false))

    def learn(self, S, s, p, c, i):
        """From a proposal, from the view that a client is in; or from a liar."""
        L = self.L
        return L.And(L.le(S.cids(s, p), c), L.le(S.maxv(s), i)), S.but(
            cids=on(L, S.cids, [s, p], c), maxv=on(L, S.maxv, [s], i))

    def forget(self, S, s, p):
        """Of those who are gone, cids are kept within a bound."""
        L = self.L
        gone = L.Not(S.loc(s, p)) if self.keeps("forget-attached") else L.true
        return gone, S.but(cids=on(L, S.cids, [s, p], L.least("C")))

    def report(self, S, s, r):
        """The notification service reports; the same again stands for whatever else calls for a
        proposal: a number to join, D1 to D3, a cid that is outrun, the end of a wait."""
        L = self.L
        return self.admitted(S, s, r), S.but(
            ns=on(L, S.ns, [s], r), gath=on(L, S.gath, [s], L.true),
            sat=on(L, S.sat, [s], L.false))

    def follow(self, S, s, r):
        """A report that needs no change: clients moved, and stay in the view that all are in; or
        s has no clients any more. Then s is in no view."""
        L, R = self.L, self.R
        owed = L.exists("S", lambda t: L.And(
            S.known(s, t), L.eq(R.rep(S.prp(s, t)), r), self.concerns(r, t),
            L.lt(S.used(s, t), R.pn(S.prp(s, t)))))
        quiet = L.And(L.Not(S.chg(s)), L.Not(S.gath(s)), L.Not(owed), self.admitted(S, s, r))
        return L.Or(quiet, L.Not(self.concerns(r, s))), S.but(
            ns=on(L, S.ns, [s], r), gath=on(L, S.gath, [s], L.false),
            chg=on(L, S.chg, [s], L.false), sat=on(L, S.sat, [s], L.false))

    def begin(self, S, s):
        """New cids are about to be given, for what is reported."""
        L = self.L
        return S.gath(s), S.but(
            chg=on(L, S.chg, [s], L.true), ann=on(L, S.ann, [s], S.ns(s)),
            fresh=on(L, S.fresh, [s, None], L.false))

    def start_change(self, S, s, p, c):
        L = self.L
        new = L.lt(S.cids(s, p), c) if self.keeps("same-cid") else L.le(S.cids(s, p), c)
        guard = L.And(S.gath(s), S.chg(s), self.own(S.ann(s), s, p), L.Not(S.fresh(s, p)), new)

        def given(f, x):
            return on(L, f, [p], L.If(self.hears(S, s, p), x, f(p)))

        return guard, S.but(
            cids=on(L, S.cids, [s, p], c), given=on(L, S.given, [s, p], c),
            fresh=on(L, S.fresh, [s, p], L.true),
            lcid=given(S.lcid, c), hcid=given(S.hcid, c), newc=given(S.newc, L.false),
            pend=given(S.pend, L.true), told=given(S.told, S.ann(s)))

    def propose(self, S, s, x):
        L, R, r = self.L, self.R, S.ns(s)
        given = L.forall("P", lambda p: L.Implies(self.own(r, s, p), L.And(
            S.fresh(s, p), L.eq(R.said(x, p), S.given(s, p)))))
        guard = L.And(
            S.gath(s), S.chg(s), L.Not(S.made(x)), L.eq(R.by(x), s), L.eq(R.rep(x), r),
            self.within(r, S.ann(s)) if self.keeps("grown") else L.true,
            given if self.keeps("not-given") else L.true, L.lt(S.lpn(s), R.pn(x)),
            L.lt(S.maxv(s), R.vn(x)) if self.keeps("vnum") else L.true,
            L.forall("S", lambda t: L.eq(R.ux(x, t), S.used(s, t))),
            L.Implies(R.slow(x), L.le(S.sent(s), R.num(x))),
            self.joins(S, s, x) if self.keeps("stored") else L.true)
        return guard, S.but(
            made=on(L, S.made, [x], L.true), mine=on(L, S.mine, [s], x),
            lpn=on(L, S.lpn, [s], R.pn(x)), gath=on(L, S.gath, [s], L.false),
            mode=on(L, S.mode, [s], R.slow(x)),
            sent=on(L, S.sent, [s], L.If(R.slow(x), R.num(x), S.sent(s))))

    def joins(self, S, s, x):
        """The proposal x of s takes up the numbers that it has heard and not used."""
        L, R = self.L, self.R

        def joined(y):
            waits = L.And(self.matters(S, s, y), R.slow(y), self.unused(S, s, y))
            return L.Implies(waits, L.And(R.slow(x), L.le(R.num(y), R.num(x))))

        return L.forall("S", lambda t: L.Implies(S.known(s, t), joined(S.prp(s, t))))

    def answers(self, S, s, x):
        """What s hears calls for a proposal."""
        L, R = self.L, self.R
        unused = self.unused(S, s, x)
        rules = {
            "join": L.And(R.slow(x), L.lt(S.sent(s), R.num(x))),
            "D1": L.And(L.Not(S.chg(s)), unused),
            "D2": L.And(S.chg(s), L.le(R.pn(S.mine(s)), R.ux(x, s))),
            "D3": L.And(R.slow(x), unused, L.Not(L.And(S.chg(s), S.mode(s)))),
        }
        return L.And(self.matters(S, s, x),
                     L.Or(*[calls for rule, calls in rules.items() if self.keeps(rule)]))

    def hear(self, S, s, x):
        """A proposal is heard, and perhaps answered."""
        L, R, t = self.L, self.R, self.R.by(x)
        later = L.Or(L.Not(S.known(s, t)), L.lt(R.pn(S.prp(s, t)), R.pn(x)))
        answers = self.answers(S, s, x)
        return L.And(S.made(x), L.Not(L.eq(t, s)), later), S.but(
            known=on(L, S.known, [s, t], L.true), prp=on(L, S.prp, [s, t], x),
            maxv=on(L, S.maxv, [s], self.max(S.maxv(s), R.vn(x))),
            gath=on(L, S.gath, [s], L.Or(answers, S.gath(s))),
            sat=on(L, S.sat, [s], L.And(L.Not(answers), S.sat(s))))

    def counts(self, S, s, t, x):
        """x, of t, counts for the view that s tries for."""
        L, R = self.L, self.R
        untouched = L.lt(R.ux(x, s), R.pn(S.mine(s)))
        passed = L.And(R.slow(x), L.le(R.num(x), S.sent(s)))
        first = L.And(L.lt(S.used(s, t), R.pn(x)),
                      L.Or(L.eq(s, t), L.And(untouched, L.Not(passed))))
        number = L.And(R.slow(x), L.eq(R.num(x), S.sent(s)))
        return L.And(L.eq(R.rep(x), S.ns(s)), L.If(S.mode(s), number, first))

    def decide(self, S, s, v):
        """A view is made of a proposal of each home, and told to the clients here."""
        L, R = self.L, self.R
        r = R.of(v)

        def needs(t):
            return L.Or(L.eq(t, s), self.concerns(r, t))

        guard = L.And(
            S.chg(s) if self.keeps("unasked") else L.true,
            L.Not(S.gath(s)) if self.keeps("no-wait") else L.true,
            L.eq(r, S.ns(s)), self.concerns(r, s),
            L.forall("S", lambda t: L.Implies(needs(t), L.And(
                L.eq(R.frm(v, t), self.taken(S, s, t)),
                L.Or(L.eq(s, t), S.known(s, t)),
                self.counts(S, s, t, R.frm(v, t))))),
            self.made_of(v))

        def given(f, x):
            return lambda p: L.If(self.is_told(S, s, v, p), x, f(p))

        def use(u, t):
            return L.If(L.And(L.eq(u, s), needs(t)), R.pn(R.frm(v, t)), S.used(u, t))

        return guard, S.but(
            lvid=given(S.lvid, R.vid(v)), hvid=given(S.hvid, R.vid(v)),
            newv=given(S.newv, L.false),
            pend=given(S.pend, L.false), used=use, dec=on(L, S.dec, [s, v], L.true),
            maxv=on(L, S.maxv, [s], self.max(S.maxv(s), R.vid(v))),
            chg=on(L, S.chg, [s], L.false), stl=on(L, S.stl, [s], v), sat=on(L, S.sat, [s], L.true))

    def made_of(self, v):
        """The view is what its report and its proposals say, and nothing else."""
        L, R, r = self.L, self.R, self.R.of(v)
        return L.And(
            L.forall("P", lambda p: L.And(
                L.eq(R.set(v, p), R.mem(r, p)),
                L.Implies(R.mem(r, p), L.And(
                    L.eq(R.start(v, p), R.said(R.frm(v, R.to(R.at(r, p))), p)),
                    L.le(R.vn(R.frm(v, R.to(R.at(r, p)))), R.vid(v)))))),
            R.mem(r, R.top(v)),
            L.eq(R.vid(v), R.vn(R.frm(v, R.to(R.at(r, R.top(v)))))),
            L.eq(R.minor(v), R.low(r)))

    def forget_server(self, S, s, t):
        """t is gone for long, or was restarted: what it said is forgotten."""
        L = self.L
        return L.Not(L.eq(s, t)), S.but(
            known=on(L, S.known, [s, t], L.false), used=on(L, S.used, [s, t], L.least("N")))

    def restart(self, S, s, n, r):
        """A server begins anew: it knows nothing, and counts from a clock."""
        L = self.L
        later = L.le(S.lpn(s), n) if self.keeps("count-again") else L.true
        return L.And(later, L.Not(self.concerns(r, s))), S.but(
            ns=on(L, S.ns, [s], r),
            lpn=on(L, S.lpn, [s], n), loc=on(L, S.loc, [s, None], L.false),
            cids=on(L, S.cids, [s, None], L.least("C")), maxv=on(L, S.maxv, [s], L.least("I")),
            chg=on(L, S.chg, [s], L.false), gath=on(L, S.gath, [s], L.false),
            sat=on(L, S.sat, [s], L.false), known=on(L, S.known, [s, None], L.false),
            used=on(L, S.used, [s, None], L.least("N")), sent=on(L, S.sent, [s], L.least("M")))

    # ---- what is promised

    def steps(self, S):
        return {
            "start_change": lambda s, p, c: self.is_given(S, s, p, c),
            "decide": lambda s, v: self.is_announced(S, s, v),
        }

    def is_given(self, S, s, p, c):
        """M1, M2 of a start_change."""
        L = self.L
        heard = self.hears(S, s, p)
        return {
            "M1 in the set": self.R.mem(S.ann(s), p),
            "M2 cids increase, over all lives": L.Implies(heard, L.lt(S.lcid(p), c)),
        }

    def is_announced(self, S, s, v):
        """M1, M3 to M6 of a view, for everybody who is told."""
        L, R = self.L, self.R

        def all_told(fact):
            return L.forall("P", lambda p: L.Implies(self.is_told(S, s, v, p), fact(p)))

        return {
            "M1 in the view": all_told(lambda p: R.set(v, p)),
            "M3 within the set announced": all_told(lambda p: L.forall("P", lambda q: L.Implies(
                R.set(v, q), R.mem(S.told(p), q)))),
            "M4 the last cid": all_told(lambda p: L.eq(R.start(v, p), S.lcid(p))),
            "M5 a start_change since the last view": all_told(S.pend),
            "M6 view numbers increase, over all lives": all_told(
                lambda p: L.lt(S.lvid(p), R.vid(v))),
        }

    def is_told(self, S, s, v, p):
        """p hears of v: it is attached as the report says."""
        L, R = self.L, self.R
        same = L.eq(S.att(s, p), R.at(R.of(v), p))
        return L.And(self.hears(S, s, p), R.set(v, p),
                     same if self.keeps("other-attachment") else L.true)

    def lemmas(self, S):
        return {}

    def properties(self, S):
        return {}

    def scenarios(self, S):
        L, R = self.L, self.R
        return {
            "somebody is told of a view of two servers": ("SSVP", lambda s, t, v, p: L.And(
                self.decide(S, s, v)[0], self.is_told(S, s, v, p), L.Not(L.eq(s, t)),
                self.concerns(R.of(v), t))),
        }

    # ---- the inductive invariant

    def invariants(self, S):
        return self.of_attachments(S) | self.of_numbers(S) | self.of_changes(S)

    def of_attachments(self, S):
        L, R = self.L, self.R
        imp, And, eq, all_ = L.Implies, L.And, L.eq, L.forall
        return {
            "k1 admitted, so asked for": all_("A", lambda a: imp(S.adm(a), S.ask(a))),
            "k2 attached as was asked for": all_("SP", lambda s, p: imp(S.loc(s, p), And(
                S.adm(S.att(s, p)), eq(R.who(S.att(s, p)), p), eq(R.to(S.att(s, p)), s)))),
            "k3 listens to what it asked for": all_("P", lambda p: imp(S.lst(p), And(
                S.ask(S.cur(p)), eq(R.who(S.cur(p)), p)))),
            "k4 own clients are reported as they attached": all_("SP", lambda s, p: imp(
                self.own(S.ns(s), s, p), S.adm(R.at(S.ns(s), p)))),
            "k5 and announced so": all_("SP", lambda s, p: imp(
                And(S.chg(s), self.own(S.ann(s), s, p)), S.adm(R.at(S.ann(s), p)))),
        }

    def of_numbers(self, S):
        """M2, M6: what is given is above all that was given."""
        L, R = self.L, self.R
        imp, And, Not, eq, le, all_ = L.Implies, L.And, L.Not, L.eq, L.le, L.forall
        return {
            "n1 a client knows what it was given in this life": all_("P", lambda p: And(
                L.Or(S.newc(p), le(S.lcid(p), S.hcid(p))),
                L.Or(S.newv(p), le(S.lvid(p), S.hvid(p))))),
            "n2 claims cover that": all_("P", lambda p: imp(
                And(S.lst(p), Not(S.adm(S.cur(p)))),
                And(L.Or(S.newc(p), le(S.lcid(p), R.clc(S.cur(p)))),
                    L.Or(S.newv(p), le(S.lvid(p), R.clv(S.cur(p))))))),
            "n3 cids at the home are above": all_("SP", lambda s, p: imp(
                self.hears(S, s, p), le(S.lcid(p), S.cids(s, p)))),
            "n4 view numbers at the home are above": all_("SP", lambda s, p: imp(
                self.hears(S, s, p), le(S.lvid(p), S.maxv(s)))),
            "n5 the proposal is above": all_("SP", lambda s, p: imp(
                And(self.hears(S, s, p), S.chg(s), Not(S.gath(s)), self.own(S.ns(s), s, p),
                    eq(R.at(S.ns(s), p), S.cur(p))),
                L.lt(S.lvid(p), R.vn(S.mine(s))))),
        }

    def pending(self, S, s):
        """The own proposal waits for those of others."""
        return self.L.And(S.chg(s), self.L.Not(S.gath(s)))

    def of_changes(self, S):
        """M3, M4, M5: what is proposed is what was given."""
        L, R = self.L, self.R
        imp, And, eq, all_ = L.Implies, L.And, L.eq, L.forall
        return {
            "h1 the own proposal is of the report": all_("S", lambda s: imp(
                self.pending(S, s), eq(R.rep(S.mine(s)), S.ns(s)))),
            "h2 within what was announced": all_("S", lambda s: imp(
                self.pending(S, s), self.within(S.ns(s), S.ann(s)))),
            "h3 it says what was given": all_("SP", lambda s, p: imp(
                And(self.pending(S, s), self.own(S.ns(s), s, p)),
                And(S.fresh(s, p), eq(R.said(S.mine(s), p), S.given(s, p))))),
            "h4 who hears was given it": all_("SP", lambda s, p: imp(
                And(self.hears(S, s, p), S.chg(s), self.own(S.ann(s), s, p), S.fresh(s, p),
                    eq(R.at(S.ann(s), p), S.cur(p))),
                And(eq(S.given(s, p), S.lcid(p)), S.pend(p), eq(S.told(p), S.ann(s))))),
        }
