//! The manual: pages without code.
//!
//! To begin with:
//! - [`first_application`]: four small programs, from a group to a replicated state, and which one
//!   to take.
//! - [`applications`]: a shared board, a store over HTTP, a game, a market feed.
//! - [`async_use`]: tasks of any runtime, and event loops that wait for descriptors.
//! - [`comparison`]: what others do, and when to take them instead.
//! - [`languages`]: groups and replicated states from C and Python.
//! - [`operating`]: servers or none, addresses and ports, keys, partitions, far links, status,
//!   sizing, platforms, and what an operator may read.
//! - [`options`]: every option of the command.
//! - [`own_loop`]: how an event loop of your own carries a node.
//! - [`own_membership`]: views from etcd, Consul, a controller or a file.
//! - [`production`]: lines of operation, a file with options, systemd, containers, Kubernetes.
//! - [`capture`]: what Wireshark shows of it.
//! - [`metrics`]: what is served for Prometheus, by name; a dashboard, and when to be alarmed.
//! - [`diagrams`]: a run as a picture, and how to read it.
//! - [`traces`]: the format of traces.
//! - [`glossary`]: the words, one meaning each.
//!
//! How it is built:
//! - [`architecture`]: rooms, what each may import, where to look, the way of a message.
//! - [`wire`]: what goes over the network, byte by byte; when a version is raised.
//!
//! What is promised, and why it holds:
//! - [`properties`]: the promises by number: S8, M2, L1.
//! - [`threat_model`]: who can do what on a hostile network, with keys and without.
//! - [`algorithm`]: the rules by number, each with an anchor.
//! - [`proof`](crate::spec::proof): why the rules suffice, and who checks each step.
//! - [`testing`]: seeded worlds, the specification beside the code, exhaustive worlds, mutants,
//!   fuzzing, chaos.
//! - [`measured`]: what was measured, where, and how to do it again.

#[doc = include_str!("algorithm.md")]
pub mod algorithm {}
#[doc = include_str!("applications.md")]
pub mod applications {}
#[doc = include_str!("architecture.md")]
pub mod architecture {}
// Its programs need vs-std, which compiles them among its own tests.
#[cfg_attr(not(doctest), doc = include_str!("async_use.md"))]
pub mod async_use {}
#[doc = include_str!("capture.md")]
pub mod capture {}
#[doc = include_str!("comparison.md")]
pub mod comparison {}
#[doc = include_str!("diagrams.md")]
pub mod diagrams {}
// As those of `async_use`.
#[cfg_attr(not(doctest), doc = include_str!("first_application.md"))]
pub mod first_application {}
#[doc = include_str!("glossary.md")]
pub mod glossary {}
#[doc = include_str!("measured.md")]
pub mod measured {}
#[doc = include_str!("metrics.md")]
pub mod metrics {}
#[doc = include_str!("languages.md")]
pub mod languages {}
#[doc = include_str!("operating.md")]
pub mod operating {}
#[doc = include_str!("options.md")]
pub mod options {}
#[doc = include_str!("own_loop.md")]
pub mod own_loop {}
#[doc = include_str!("own_membership.md")]
pub mod own_membership {}
#[doc = include_str!("production.md")]
pub mod production {}
#[doc = include_str!("properties.md")]
pub mod properties {}
#[doc = include_str!("testing.md")]
pub mod testing {}
#[doc = include_str!("threat_model.md")]
pub mod threat_model {}
#[doc = include_str!("traces.md")]
pub mod traces {}
#[doc = include_str!("wire.md")]
pub mod wire {}
