//! What a process serves for Prometheus (`--metrics`).

mod asked;
mod desk;
mod http;

use core::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::mpsc::{TrySendError, sync_channel};

use mio::Waker;
use vs_core::seal::Keys;

use crate::failure::{Failure, misused, system};
use crate::keys::is_loopback;
use crate::network::refused;
use asked::Question;
pub(crate) use asked::Questions;
use desk::{Desk, Source};

/// Questions that wait for the process.
const QUESTIONS_MAX: usize = 1;

/// Where metrics are served.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Serving {
    /// Serve metrics for Prometheus at this address, under `/metrics`; port 0: one that the system
    /// chooses, and says
    #[arg(long, value_name = "IP:PORT", help_heading = "Metrics")]
    metrics: Option<SocketAddr>,
    /// Serve them on other interfaces than loopback though there are keys: metrics are not sealed,
    /// and whoever can connect reads them
    #[arg(long, requires = "metrics", help_heading = "Metrics")]
    metrics_in_clear: bool,
}

impl Serving {
    /// The address that others reach.
    pub(crate) fn uses(&self) -> Option<IpAddr> {
        self.metrics.map(|addr| addr.ip())
    }

    /// Refuses to tell a network, where all else is sealed, what is not, unless that is meant.
    pub(crate) fn check(&self, keys: Option<&Keys>) {
        let exposed = self.metrics.filter(|addr| !is_loopback(addr.ip()));
        if let Some(addr) = exposed
            && keys.is_some()
            && !self.metrics_in_clear
        {
            misused(&format!(
                "metrics are not sealed, and {} is not loopback: name one of loopback with --metrics, or say \
                 --metrics-in-clear",
                addr.ip()
            ));
        }
    }

    /// Begins to serve, if that is wanted. `waker` wakes the process when there is a question.
    pub(crate) fn open(&self, waker: &Arc<Waker>) -> Result<Option<Questions>, Failure> {
        let waker = Arc::clone(waker);
        self.open_with(move || {
            // A poll that cannot be woken has ended.
            let _ = waker.wake();
        })
    }

    /// The same, for a process that waits for its questions by itself.
    pub(crate) fn open_with(
        &self,
        wake: impl Fn() + Send + 'static,
    ) -> Result<Option<Questions>, Failure> {
        let Some(addr) = self.metrics else { return Ok(None) };
        let (sender, questions) = sync_channel::<Question>(QUESTIONS_MAX);
        let ask = move |question| {
            // One that finds no room is dropped, and told so.
            let is_asked = !matches!(sender.try_send(question), Err(TrySendError::Full(_)));
            if is_asked {
                wake();
            }
        };
        let desk = Desk::open(addr, Source::new(ask)).map_err(|e| {
            let Failure(why) = refused(addr, &e);
            Failure(why.replace("--listen", "--metrics"))
        })?;
        let addr = desk.addr();
        tracing::info!("metrics for Prometheus: http://{addr}/metrics");
        if !is_loopback(addr.ip()) {
            tracing::warn!(
                "whoever can connect to {addr} reads the metrics: let a firewall admit the scraper alone"
            );
        }
        let thread = std::thread::Builder::new().name("metrics".into());
        thread.spawn(|| desk.run()).map_err(|e| system("serve metrics", &e))?;
        Ok(Some(Questions::new(questions)))
    }
}
