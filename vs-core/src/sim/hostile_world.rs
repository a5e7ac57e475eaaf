//! # Test your application against a hostile world
//!
//! Ten minutes from here you have a program that puts your application on processes which crash and
//! come back, are stopped, cut off, partitioned and merged, on paths that lose, repeat and reorder
//! what is sent, with membership servers that restart; and which names a number when something is
//! wrong, with which it goes wrong again in the same way.
//!
//! What runs is the shipping code, whole nodes and servers; what is simulated is what surrounds
//! them. So no test of yours needs a network, a thread, a sleep or a mock.
//!
//! ## The program
//!
//! Counters of a box office tell each other which seats are sold. Those who come together from one
//! view to the next have delivered the same messages, so they know the same. If somebody is in the
//! new view who did not come along (whoever is not in the *transitional set*), each says all that
//! it knows, and nobody relies on it before all have. That is all of the application; below it are
//! the few lines that [`play`](super::play) two hundred worlds.
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
//! The second one has an error that is easily made: it takes members that were in the last view
//! already for members that came along. One may have crashed and come back before it was missed, or
//! have been in another view meanwhile. Nothing goes wrong as long as nothing happens; in a hostile
//! world a seed is named soon, with what one knew and another did not:
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
//! # Or what else makes bytes of messages.
//! postcard = { version = "1", default-features = false, features = ["alloc"] }
//!
//! [dev-dependencies]
//! vs-core = { path = "../vs/vs-core", features = ["sim"] }
//! ```
//!
//! So what you ship is built without the simulator. The program above needs no other crate: make a
//! file in `examples/` of it, or put the application into a test, with [`play`](super::play) or
//! with what it does:
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
//! Keep the first line of the loop: an application that panics takes the run with it, and nothing
//! else tells the seed. A test that passes shows nothing of it.
//!
//! ## What you write
//!
//! Implement [`Application`](super::Application):
//! [`handle_action`](super::Application::handle_action) hears what the node says,
//! [`act`](super::Application::act) sends and sets timers. The rest has defaults:
//!
//! - [`common_state`](super::Application::common_state): what has to be the same at all who go
//!   together. It is compared at each view, and at the end. Say `None` while nothing has to be so,
//!   such as before a hand-over is complete; at the end all have to name a state, or nobody. Where
//!   nobody ever does, nothing is compared and every run passes: see to it that
//!   [`Stats::compared`](super::Stats::compared) is above 0.
//! - [`complaint`](super::Application::complaint): what one process sees that must not be.
//! - [`say`](super::Application::say): the scenario wants traffic.
//! - [`is_drained`](super::Application::is_drained): whether something still waits to be sent.
//! - Some worlds start a second process under the id of one that runs; your application is made for
//!   it, too, with [`ProcessPlan::impostor`](super::ProcessPlan::impostor) set. One of the two is
//!   refused, so there is nothing to do about it, unless you count on what one id has said in all
//!   its lives.
//! - The last argument of [`Scenario::run_with`](super::Scenario::run_with) looks at all processes
//!   when all is over.
//!
//! Send nothing of your own accord once the time is [`Load::until`](super::Load::until) of the
//! [`ProcessPlan`](super::ProcessPlan) that you are made from: a group in which always something is
//! under way does not settle, which is a failure. Who sends more than tens of thousands of messages
//! in one instant, such as one in answer to each of its own, is taken to do so for ever, and the
//! run ends with [`Defect::EndlessSends`](super::Defect::EndlessSends), which names the process.
//!
//! Whatever is random in your application, or would read a clock, has to come from a seed of yours
//! and from the times that you are given; else a run is not the same the next time.
//!
//! ## Seeds and replay
//!
//! [`Scenario::random`](super::Scenario::random) makes a whole run from a number: how many
//! processes and servers there are, how the paths are, what is done, when, and how that mix is
//! weighted. The same number gives the same run, to the byte, on any machine, as long as this crate
//! and your application stay the same. [`Scenario`](super::Scenario) is a plain value: print its
//! `steps`, shorten them, change `group` or `node` to your own configuration.
//! [`plain`](super::Scenario::plain) keeps it to one group in which nodes answer block requests by
//! themselves; leave it out if your application handles several groups and
//! [`Action::Block`](crate::Action::Block).
//!
//! Two hundred small worlds take about a second with optimisation. Run some with each commit, and
//! more over night.
//!
//! ## What is done to them
//!
//! [`Step`](super::Step) lists all, [`Fault`](super::Fault) what a seed draws. Write a scenario by
//! hand to come to one situation; a [`Trigger`](super::Trigger) strikes at a moment of a view
//! change:
//!
//! ```
//! use vs_core::ident::ProcessId;
//! use vs_core::sim::{Moment, Scenario, Step, Trigger};
//! use vs_core::trace::Mark;
//!
//! let three = ProcessId(3);
//! // 3 dies 50 µs after it has sent its sync message, and is back 2 ms later, in a change that 4
//! // causes.
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
//! view within [`settle_ms`](super::Scenario::settle_ms) of simulated time, or the run has failed:
//! so liveness is tested, too. For full control drive a [`World`](super::World) yourself, as in
//! [`sim`](crate::sim).
//!
//! ## Traces and the checker
//!
//! Each run is judged by [`spec`](crate::spec) besides: if the group itself broke a promise, that
//! is the failure. With [`Scenario::refined`](super::Scenario::refined) the executable
//! specification is stepped beside each process, too, which takes about twice as long. An
//! [`Outcome`](super::Outcome) has the trace of each process, which tells what happened:
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
//! crashes with and without the host; buffers that run full; late timers; clocks that jump. All of
//! it is in one thread and in virtual time.
//!
//! Not simulated: how long computing takes (a slow application is one that does not read for a
//! while), bandwidth, corrupted or forged bytes (that is fuzzed), disks, and your own sockets and
//! threads. Processes never disagree about the time at which one of their lives begins.
