//! Swarms: each seed has its own size and its own mix of faults, some of them bound to moments of a
//! view change.

use alloc::vec::Vec;

use crate::ident::ProcessId;
use crate::rng::Rng;
use crate::sim::kind::Fault;
use crate::sim::moment::Moment;
use crate::sim::net::Link;
use crate::sim::scenario::draw::Draw;
use crate::sim::scenario::generate::Generator;
use crate::sim::scenario::{Step, Trigger};
use crate::sim::site::Site;

/// Percentage of swarms with impostors.
const IMPOSTORS_PERCENT: u64 = 15;

/// What parts the choices about impostors from the others of a seed. By this none comes to the
/// seeds that named tests and the documentation rely on.
const IMPOSTORS_SEED: u64 = 0x18;

impl Generator<'_> {
    /// Impostors come on top of all the rest, and by choices of their own: each seed is the world
    /// that it was before there were any. Bytes say so with those that are left.
    pub(crate) fn impostors(&mut self) {
        if let Draw::Seed(_) = self.draw {
            self.draw = Draw::Seed(Rng::new(self.scenario.seed ^ IMPOSTORS_SEED));
        }
        if !self.draw.percent(IMPOSTORS_PERCENT) {
            return;
        }
        for _ in 0..1 + self.draw.below(3) {
            let at = self.draw.below(self.scenario.heal_us);
            self.scenario.kinds[Fault::Impostor as usize] += 1;
            self.do_swarm_fault(Fault::Impostor, at);
        }
    }

    pub(crate) fn do_swarm_fault(&mut self, fault: Fault, at: u64) {
        let p = self.any_process();
        match fault {
            Fault::Stale => {
                let until = at + 250_000 + self.draw.below(600_000);
                self.pause(Site::Process(p), at, until);
            }
            Fault::Isolate => {
                let until = at + self.duration();
                for other in self.sites() {
                    if other != Site::Process(p) {
                        self.cut_both(Site::Process(p), other, at, until);
                    }
                }
            }
            Fault::LossyPath => {
                let all = self.sites();
                let (a, b) = (self.draw.one(&all), self.draw.one(&all));
                let until = at + self.duration();
                let loss_permille = 300 + self.draw.below(700) as u16;
                self.push(at, Step::SetLink(a, b, Link { loss_permille, ..Link::LAN }));
                self.push(until, Step::SetLink(a, b, Link::LAN));
            }
            Fault::HerdRestart => {
                let back = at + self.duration();
                let all: Vec<ProcessId> = self.scenario.processes.iter().map(|p| p.id).collect();
                for p in all {
                    self.push(at, Step::Kill(p));
                    self.push(back, Step::Start(p));
                }
            }
            Fault::Churn => {
                let mut when = at;
                for _ in 0..4 + self.draw.below(12) {
                    let (p, back) = (self.any_process(), when + self.draw.below(30_000));
                    self.kill(p, when, back);
                    when = self.after(when, 20_000);
                }
            }
            Fault::Impostor => self.impostor(p, at),
            Fault::ClockJump => {
                let all = self.sites();
                let (site, ms) = (self.draw.one(&all), 1 + self.draw.below(5_000));
                self.push(at, Step::Clock(site, ms));
            }
            _ => self.at_moment(p, at),
        }
    }

    /// A second process starts under the id of `p`, at some time or when `p` comes to some moment,
    /// and goes again or stays until the end. Maybe something befalls the first one meanwhile.
    fn impostor(&mut self, p: ProcessId, at: u64) {
        let starts = Step::StartImpostor(p);
        if self.draw.percent(50) {
            let (moment, nth) = (self.draw.one(&Moment::ALL), 1 + self.draw.below(3));
            let steps = alloc::vec![(self.draw.below(2_000), starts)];
            self.push(at, Step::When(Trigger { process: Some(p), moment, nth, steps }));
        } else {
            self.push(at, starts);
        }
        if self.draw.percent(50) {
            let ends = at + self.duration();
            self.push(ends, Step::KillImpostor(p));
        }
        if self.draw.percent(50) {
            for (us, step) in self.befalls(p, 0) {
                self.push(at + us, step);
            }
        }
    }

    /// Something befalls the process that comes to a moment, or another one, or a server: right
    /// then, or a little later.
    fn at_moment(&mut self, p: ProcessId, at: u64) {
        let process = if self.draw.percent(50) { Some(p) } else { None };
        let moment = self.draw.one(&Moment::ALL);
        let nth = 1 + self.draw.below(4);
        let delay = match self.draw.below(3) {
            0 => 0,
            1 => self.draw.below(300),
            _ => self.draw.below(4_000),
        };
        let victim = if self.draw.percent(60) { p } else { self.any_process() };
        let steps = self.befalls(victim, delay);
        self.push(at, Step::When(Trigger { process, moment, nth, steps }));
    }

    fn befalls(&mut self, p: ProcessId, delay: u64) -> Vec<(u64, Step)> {
        let back = delay + self.duration();
        match self.draw.below(10) {
            0 => alloc::vec![(delay, Step::Kill(p)), (back, Step::Start(p))],
            1 => alloc::vec![(delay, Step::PowerOff(p)), (back, Step::Start(p))],
            2 => {
                let site = Site::Process(p);
                alloc::vec![(delay, Step::Pause(site)), (back, Step::Resume(site))]
            }
            3 => {
                let all = self.sites();
                let other = self.draw.one(&all);
                let (a, b) = if self.draw.percent(50) {
                    (Site::Process(p), other)
                } else {
                    (other, Site::Process(p))
                };
                alloc::vec![(delay, Step::Cut(a, b)), (back, Step::Heal(a, b))]
            }
            4 | 5 => {
                // A joiner, which may die while it is being taken up.
                let joiner = self.unborn.pop().unwrap_or(p);
                let mut steps = alloc::vec![(delay, Step::Start(joiner))];
                if self.draw.percent(50) {
                    let dies = self.after(delay, 4_000);
                    steps.extend([(dies, Step::Kill(joiner)), (back, Step::Start(joiner))]);
                }
                steps
            }
            6 => alloc::vec![(delay, Step::Leave(p)), (back, Step::Start(p))],
            7 => {
                let server = self.any_server();
                alloc::vec![(delay, Step::KillServer(server)), (back, Step::StartServer(server))]
            }
            8 => {
                let back = self.after(delay, 8_000);
                alloc::vec![(delay, Step::Kill(p)), (back, Step::Start(p))]
            }
            _ => {
                let n = 1 + self.draw.below(20);
                alloc::vec![(delay, Step::Send(p, n))]
            }
        }
    }
}
