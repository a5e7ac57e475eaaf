//! Keys on the command line, and where a process may do without.

use core::net::{IpAddr, SocketAddr};
use std::ffi::OsString;
use std::path::PathBuf;

use vs_core::member::Server;
use vs_core::seal::{KeyRing, Keys};
use vs_std::keys::{keys, read_key_file};
use vs_std::udp::{Follow, UdpConfig};

use crate::failure::{Failure, misused};

/// The lines of a key file, for where a file is not at hand.
const VARIABLE: &str = "VS_KEY";

/// With what is sealed.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Keys")]
pub(crate) struct Sealing {
    /// Keys of the deployment, the same at all hosts: `vs keygen FILE` makes them. All that goes
    /// over the network is sealed with them. SIGHUP reads it again [env VS_KEY: the lines of such a
    /// file, with ; between]
    #[arg(long, value_name = "FILE", conflicts_with = "insecure")]
    key_file: Option<PathBuf>,
    /// Do without keys, also on other interfaces than loopback: anybody on those networks can join,
    /// read and forge
    #[arg(long)]
    insecure: bool,
}

impl Sealing {
    /// The keys. Without any, the process ends as for a bad command line if one of `uses` is not
    /// loopback and nothing says that this is meant. `stay` is what keeps the process on this host,
    /// if anything does.
    pub(crate) fn keys(
        &self,
        uses: impl IntoIterator<Item = IpAddr>,
        stay: &str,
    ) -> Result<Option<Keys>, Failure> {
        if self.insecure {
            return Ok(None);
        }
        let Some(ring) = self.ring()? else {
            if let Some(exposed) = uses.into_iter().find(|ip| !is_loopback(*ip)) {
                misused(&unsealed(exposed, stay));
            }
            return Ok(None);
        };
        keys(ring).map(Some).map_err(|e| Failure(format!("nothing can be sealed: {e}")))
    }

    fn ring(&self) -> Result<Option<KeyRing>, Failure> {
        if let Some(path) = &self.key_file {
            return read_key_file(path).map(Some).map_err(|e| Failure(e.to_string()));
        }
        let Some(lines) = std::env::var_os(VARIABLE) else { return Ok(None) };
        let lines = lines.to_str().unwrap_or_default().replace(';', "\n");
        let ring = KeyRing::parse(&lines);
        ring.map(Some).map_err(|e| Failure(format!("the keys in {VARIABLE} cannot be used: {e}")))
    }

    /// Whether the keys are in a file, which can be read again.
    pub(crate) fn has_file(&self) -> bool {
        self.key_file.is_some()
    }

    /// The same with another file.
    pub(crate) fn with_file(&self, key_file: PathBuf) -> Self {
        Self { key_file: Some(key_file), ..self.clone() }
    }

    /// The keys as the file has them now.
    pub(crate) fn read_again(&self) -> Result<Keys, Failure> {
        let ring = self.ring()?.ok_or_else(|| Failure("no key file is named".into()))?;
        keys(ring).map_err(|e| Failure(format!("nothing can be sealed: {e}")))
    }

    /// The options that say the same. What the environment says is handed on by itself.
    pub(crate) fn to_args(&self) -> Vec<OsString> {
        let file = self.key_file.iter().flat_map(|file| ["--key-file".into(), file.into()]);
        file.chain(self.insecure.then(|| "--insecure".into())).collect()
    }

    /// The same for processes whose network is their own: they need no keys.
    pub(crate) fn to_args_of_own_network(&self) -> Vec<OsString> {
        if self.key_file.is_some() || std::env::var_os(VARIABLE).is_some() {
            return self.to_args();
        }
        vec!["--insecure".into()]
    }
}

/// Refuses to answer who asks for the status on a network, where all else is sealed: the answers of
/// a node are not.
pub(crate) fn check_status(keys: Option<&Keys>, status: Option<SocketAddr>) {
    let exposed = status.filter(|addr| keys.is_some() && !is_loopback(addr.ip()));
    if let Some(addr) = exposed {
        misused(&format!(
            "the status of a node is not sealed, and {} is not loopback: name one of loopback with --status, and ask on \
             this host",
            addr.ip()
        ));
    }
}

/// Seals what `server` sends. Refuses keys that make no server.
pub(crate) fn seal(server: &mut Server, keys: Option<Keys>) -> Result<(), Failure> {
    let Some(keys) = keys else { return Ok(()) };
    server.set_keys(keys).map_err(|_| {
        Failure(
            "the key file is one for members: start a server with the one that it was made from"
                .into(),
        )
    })
}

/// Why a process does not start without keys.
fn unsealed(exposed: IpAddr, stay: &str) -> String {
    let stay = match stay {
        "" => String::new(),
        stay => format!(", or stay on this host with `{stay}`"),
    };
    format!(
        "{exposed} is not loopback: anybody on that network could join, read and forge; make a key with \
         `vs keygen KEY`, copy it to each host and start with `--key-file KEY`, or start with `--insecure`{stay}"
    )
}

pub(crate) fn is_loopback(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}

/// The addresses that a node uses by which others reach it, or may use later: one that looks for a
/// network will be on another than loopback once there is one.
pub(crate) fn uses(udp: &UdpConfig) -> impl Iterator<Item = IpAddr> {
    let later = match udp.follow {
        Follow::Others => Some(IpAddr::V4(core::net::Ipv4Addr::UNSPECIFIED)),
        Follow::Towards(there) => Some(there.ip()),
        _ => None,
    };
    [udp.bind, udp.interface].into_iter().chain(later)
}

/// The addresses of servers that were named by their address. One that is named by a host name is
/// reached by the interface of the node.
pub(crate) fn named(servers: &[String]) -> impl Iterator<Item = IpAddr> {
    servers.iter().filter_map(|server| server.parse().ok()).map(|addr: SocketAddr| addr.ip())
}

#[cfg(test)]
mod tests {
    use core::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    #[test]
    fn loopback_needs_no_keys_and_nothing_else_does_without() {
        let loopback = ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"];
        assert!(loopback.iter().all(|ip| is_loopback(ip.parse().unwrap())));
        let exposed = ["0.0.0.0", "::", "192.168.7.2", "fe80::1", "::ffff:10.0.0.1", "239.86.83.1"];
        assert!(!exposed.iter().any(|ip| is_loopback(ip.parse().unwrap())));
    }

    #[test]
    fn address_that_may_be_used_later_counts() {
        let exposed = |udp: UdpConfig| uses(&udp).any(|ip| !is_loopback(ip));
        let here = UdpConfig::on(Ipv4Addr::LOCALHOST);
        assert!(!exposed(here.clone()) && !exposed(UdpConfig::on(Ipv6Addr::LOCALHOST)));
        assert!(exposed(here.clone().with_follow(Follow::Others)));
        assert!(exposed(here.clone().with_interface(Ipv4Addr::new(10, 0, 0, 1))));
        let towards = |addr: &str| Follow::Towards(addr.parse().unwrap());
        assert!(!exposed(here.clone().with_follow(towards("127.0.0.1:7000"))));
        assert!(exposed(here.with_follow(towards("10.0.0.1:7000"))));
        let servers = ["localhost:7000", "127.0.0.1:7000", "10.0.0.1:7000"].map(String::from);
        assert!(named(&servers[..2]).all(is_loopback) && !named(&servers).all(is_loopback));
    }
}
