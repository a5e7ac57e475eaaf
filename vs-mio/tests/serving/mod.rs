//! A membership server for tests, where members of one test meet, and the traces that they leave.

use core::error::Error;
use core::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use core::ops::ControlFlow;
use core::sync::atomic::{AtomicBool, Ordering};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use vs_core::ident::ServerId;
use vs_core::member::server::{Server, ServerConfig};
use vs_core::trace::Trace;
use vs_core::trace_json::parse_trace;
use vs_mio::{ServerDriver, run_server};
use vs_std::clock::Clock;
use vs_std::udp::UdpConfig;

pub(crate) type Failure = Box<dyn Error + Send + Sync>;

/// A membership server in a thread; it ends when the value is dropped.
pub(crate) struct Serving {
    pub(crate) addr: SocketAddr,
    end: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Serving {
    pub(crate) fn begin(config: ServerConfig) -> Result<Self, Failure> {
        let server = Server::new(config, ServerId(1), Clock::new().unix_start_ms())?;
        let mut driver = ServerDriver::new(server, (Ipv4Addr::LOCALHOST, 0).into())?;
        let addr = driver.local_addr()?;
        let end = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&end);
        let thread = thread::spawn(move || {
            let result = run_server(&mut driver, |driver| {
                while driver.poll_note().is_some() {}
                if told.load(Ordering::SeqCst) {
                    ControlFlow::Break(Ok(()))
                } else {
                    ControlFlow::Continue(())
                }
            });
            result.expect("the server's sockets work");
        });
        Ok(Self { addr, end, thread: Some(thread) })
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.end.store(true, Ordering::SeqCst);
        // Wakes the loop.
        let _ = std::net::TcpStream::connect(self.addr);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Sockets on loopback, with a multicast group for each `test` that no other run on this host has
/// at the same time.
pub(crate) fn udp(test: u8) -> UdpConfig {
    let port = 20_000 + (std::process::id() % 20_000) as u16;
    let multicast = SocketAddrV4::new(Ipv4Addr::new(239, 255, 77, test), port);
    UdpConfig::new(Ipv4Addr::LOCALHOST, multicast)
}

/// A directory for the traces of `test`.
pub(crate) fn directory(test: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
    std::fs::create_dir_all(&path).expect("the directory for traces can be made");
    path
}

/// The path of a trace that begins now: one of an earlier run would be gone on with.
pub(crate) fn fresh(trace: PathBuf) -> PathBuf {
    if trace.exists() {
        std::fs::remove_file(&trace).expect("a trace of our own");
    }
    trace
}

pub(crate) fn read_traces(files: &[PathBuf]) -> Vec<Trace> {
    let read = |file| {
        let bytes = std::fs::read(file).expect("a trace was written");
        parse_trace(&bytes).expect("a trace can be read")
    };
    files.iter().map(read).collect()
}
