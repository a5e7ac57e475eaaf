//! What needs the simulator. One binary: the simulator is generic, so each binary would have it
//! compiled again, and tests of one binary keep all cores busy.
//!
//! ```console
//! $ cargo test -p vs-core --all-features --test sim named::
//! ```
//!
//! `VS_SIM_SEEDS=100..200` gives the random worlds of all modules other seeds, `VS_SIM_SEEDS=5000`
//! the first 5000.

mod ledger;
mod seeds;
mod sites;
mod story;
mod talker;

mod causal;
mod clocks;
mod clusters;
mod direct;
mod explore;
mod history;
mod identity;
mod multicast;
mod mutants;
mod named;
mod order;
mod overload;
mod partition;
mod path;
mod profile;
mod random;
mod refine;
mod regressions;
mod replica;
mod replica_mutants;
mod replica_named;
mod rounds;
mod wan;
