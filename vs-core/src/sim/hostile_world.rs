//! # Test your application against a hostile world
//!
//! In ten minutes you have a program that runs your application in hostile worlds. Processes crash,
//! come back, are stopped, cut off, partitioned and merged. Paths lose, repeat and reorder
//! datagrams. Membership servers restart. When something goes wrong, the program names a seed, with
//! which it goes wrong again in the same way.
//!
//! The nodes and servers are the shipping code. Only what surrounds them is simulated. So your
//! tests need no network, no thread, no sleep and no mock.
//!
//! ## The program
//!
//! Counters of a box office tell each other which seats are sold. Processes that go together from
//! one view to the next have delivered the same messages, so they know the same. If a member of the
//! new view did not come along (it is not in the *transitional set*), each process sends all that
//! it knows, and nobody relies on its own state before all have done so. That is the whole
//! application. Below it are the few lines that [`play`](super::play) two hundred worlds.
//!
#![doc = "```"]
#![doc = include_str!("../../examples/hostile_world.rs")]
#![doc = "```"]
//!
//! ```console
//! $ cargo run --release -p vs-core --features sim --example hostile_world
//! $ cargo run --release -p vs-core --features sim --example hostile_world -- --broken
//! ```
//!
//! The second command runs a version with an error that is easily made: it takes members of the
//! last view for members that came along. Such a member may have crashed and come back before it
//! was missed, or may have been in another view meanwhile. Without faults nothing goes wrong. In a
//! hostile world the program soon names a seed, and what one process knew and another did not:
//!
//! ```text
//! seed 5: in the end 1 has {0, 1, 2, 3, 4, 5, 6, 7} and 4 has no common state
//! play it again: --seed 5 --broken
//! ```
//!
//! ## In your own crate
//!
//! ```toml
//! [dependencies]
//! # By path or by git: the name on the public registry is another project's.
//! vs-core = { path = "../vs/vs-core" }
//! # Or another encoding of messages.
//! postcard = { version = "1", default-features = false, features = ["alloc"] }
//!
//! [dev-dependencies]
//! vs-core = { path = "../vs/vs-core", features = ["sim"] }
//! ```
//!
//! So what you ship is built without the simulator. The program above needs no other crate. Put it
//! into a file in `examples/`, or put the application into a test, with [`play`](super::play) or
//! with the loop that it is:
//!
//! ```no_run
//! # use vs_core::sim::{Scenario, Stats};
//! # let make = |_: &vs_core::sim::ProcessPlan| ();
//! let mut stats = Stats::default();
//! for seed in 0..200 {
//!     println!("seed {seed}");
//!     let outcome = Scenario::random(seed).plain().run_with(make, |_| Ok(()));
//!     assert!(outcome.failure.is_none(), "{}", outcome.failure.unwrap());
//!     stats.add(&outcome.stats);
//! }
//! assert!(stats.compared > 0, "nothing was compared");
//! ```
//!
//! Keep the first line of the loop: if the application panics, only that line tells the seed. A
//! test that passes does not show it.
//!
//! ## What you write
//!
//! Implement [`Application`](super::Application):
//! [`handle_action`](super::Application::handle_action) takes what the node hands out, and
//! [`act`](super::Application::act) sends and sets timers. The other methods have defaults:
//!
//! - [`common_state`](super::Application::common_state): what must be the same at all processes
//!   that go together. It is compared at each view and at the end. Return `None` while nothing must
//!   be the same, for example before a hand-over is complete. At the end either all return a state,
//!   or none does. If no process ever returns one, nothing is compared and every run passes: check
//!   that [`Stats::compared`](super::Stats::compared) is above 0.
//! - [`complaint`](super::Application::complaint): a fault that one process sees.
//! - [`say`](super::Application::say): the scenario asks for traffic.
//! - [`is_drained`](super::Application::is_drained): whether no message waits to be sent.
//!
//! Some worlds start a second process under the id of a running one. Your application is made for
//! it, too, with [`ProcessPlan::impostor`](super::ProcessPlan::impostor) set. One of the two is
//! refused, so you need not do anything, unless you count what one id has sent in all its
//! incarnations.
//!
//! The last argument of [`Scenario::run_with`](super::Scenario::run_with) looks at all processes
//! when the run is over.
//!
//! Send nothing of your own accord once the time is [`Load::until`](super::Load::until) of the
//! [`ProcessPlan`](super::ProcessPlan) that your application is made from: a group with endless
//! traffic does not settle, which is a failure. An application that sends more than tens of
//! thousands of messages in one instant, such as one in answer to each of its own, counts as
//! endless: the run ends with [`Defect::EndlessSends`](super::Defect::EndlessSends), which names
//! the process.
//!
//! Random numbers and times of your application must come from a seed of yours and from the times
//! that it is given. Otherwise a run is not the same the next time.
//!
//! ## Seeds and replay
//!
//! [`Scenario::random`](super::Scenario::random) makes a whole run from a number: the number of
//! processes and servers, the state of the paths, the faults, their times and their weights. The
//! same number gives the same run, to the byte, on any machine, as long as this crate and your
//! application stay the same. [`Scenario`](super::Scenario) is a plain value: print its `steps`,
//! shorten them, change `group` or `node` to your own configuration.
//! [`plain`](super::Scenario::plain) restricts it to one group in which nodes answer block requests
//! by themselves. Leave `plain` out if your application handles several groups and
//! [`Action::Block`](crate::Action::Block).
//!
//! Two hundred small worlds take about a second with optimisation. Run some with each commit, and
//! more over night.
//!
//! ## Faults
//!
//! [`Step`](super::Step) lists all of them, [`Fault`](super::Fault) the kinds that a seed draws.
//! Write a scenario by hand to reach one situation. A [`Trigger`](super::Trigger) acts at a moment
//! of a view change:
//!
//! ```
//! use vs_core::ident::ProcessId;
//! use vs_core::sim::{Moment, Scenario, Step, Trigger};
//! use vs_core::trace::Mark;
//!
//! let three = ProcessId(3);
//! // 3 dies 50 µs after its sync message, and is back 2 ms later, in a change that 4 causes.
//! let (moment, process) = (Moment::Sync, Some(three));
//! let steps = vec![(50, Step::Kill(three)), (2_050, Step::Start(three))];
//! let mut scenario = Scenario::calm(7, 4);
//! scenario.heal_us = 100_000;
//! scenario.steps.retain(|(_, step)| *step != Step::Start(ProcessId(4)));
//! scenario.steps.push((50_000, Step::When(Trigger { process, moment, nth: 1, steps })));
//! scenario.steps.push((50_000, Step::Start(ProcessId(4))));
//!
//! let outcome = scenario.refined().run(); // with the traffic that this crate tests itself with
//! assert!(outcome.failure.is_none(), "{}", outcome.failure.unwrap());
//! assert!(outcome.stats.marks.count(Mark::CrashAfterSync) > 0, "it did come to that");
//! ```
//!
//! When all steps are done, everything is healed: paths are whole, servers run, processes are back
//! unless they [stay down](super::ProcessPlan::stays_down). Then the group has to settle in one
//! view within [`settle_ms`](super::Scenario::settle_ms) of simulated time, or the run fails. This
//! tests liveness. For full control, drive a [`World`](super::World) yourself, as in
//! [`sim`](crate::sim).
//!
//! ## Traces and the checker
//!
//! [`spec`](crate::spec) judges each run, too: if the group itself broke a promise, that is the
//! failure. With [`Scenario::refined`](super::Scenario::refined) the executable
//! specification is stepped beside each process, too, which takes about twice as long. An
//! [`Outcome`](super::Outcome) has the trace of each process, which shows what happened:
//!
//! ```no_run
//! use vs_core::sim::Scenario;
//! use vs_core::trace_json;
//!
//! let outcome = Scenario::random(4).run();
//! for trace in &outcome.traces {
//!     let mut text = Vec::new();
//!     trace_json::encode_trace(trace, &mut text);
//!     std::fs::write(format!("{}.jsonl", trace.header.process), text)?;
//! }
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! `vs check *.jsonl` reads them, as it reads those of real processes.
//!
//! ## What is simulated, and what is not
//!
//! Datagrams, multicast or not; connections that stall, close late, reset, or fall silent; pauses;
//! crashes with and without the host; buffers that run full; late timers; clocks that jump. With
//! [`Scenario::sealed`](super::Scenario::sealed), datagrams that somebody without a key repeats,
//! changes or makes up. All of it is in one thread and in virtual time.
//!
//! Not simulated: the time of computations (a slow application is one that does not read for a
//! while), bandwidth, corrupted or forged bytes on connections (those are fuzzed), disks, and your
//! own sockets and threads. No two processes disagree about the time at which an incarnation
//! begins.
