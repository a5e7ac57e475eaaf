//! The hosts: network namespaces on one bridge, and what is done to their network.

use std::io::Write;
use std::process::{Child, Command, Stdio};

use crate::plan::{self, Host, Kind};

/// Network of a run. Its namespaces are named after the process of the driver, so that two runs do
/// not meet.
pub(crate) struct Hosts {
    prefix: String,
    undertaker: Child,
}

/// The end of the test: its namespaces go, and who still lives in them. It waits in a process of
/// its own for the end of its input, which comes however the driver ends: regularly, by a panic, by
/// Ctrl-C or by `kill -9`.
const UNDERTAKER: &str = r#"
trap '' INT TERM HUP
read -r _
for ns in "$@"; do
    for pid in $(ip netns pids "$ns" 2>/dev/null); do kill -9 "$pid" 2>/dev/null; done
    ip netns del "$ns" 2>/dev/null
done
true
"#;

impl Hosts {
    /// Makes the bridge and a namespace for each host.
    pub(crate) fn new() -> Self {
        let prefix = format!("vsc{}-", std::process::id());
        let names = Host::all().iter().map(|host| format!("{prefix}{host}")).collect::<Vec<_>>();
        let bridge = format!("{prefix}br");
        let undertaker = Command::new("sh")
            .args(["-c", UNDERTAKER, "undertaker"])
            .args(names)
            .arg(&bridge)
            .stdin(Stdio::piped())
            .spawn()
            .expect("sh starts");
        let hosts = Self { prefix, undertaker };
        ip(&format!("netns add {bridge}"));
        ip(&format!(
            "-n {bridge} link add br0 type bridge mcast_snooping 0 stp_state 0 forward_delay 0"
        ));
        ip(&format!("-n {bridge} link set br0 up"));
        for host in Host::all() {
            hosts.add(host);
        }
        hosts
    }

    fn add(&self, host: Host) {
        let ns = self.name(host);
        ip(&format!("netns add {ns}"));
        ip(&format!("-n {ns} link set lo up"));
        self.connect(host);
    }

    /// Puts a network card into the host, and its cable into the bridge.
    fn connect(&self, host: Host) {
        let (ns, bridge, number) = (self.name(host), self.bridge(), host.number());
        ip(&format!("link add eth0 netns {ns} type veth peer name v{number} netns {bridge}"));
        ip(&format!("-n {bridge} link set v{number} master br0 up"));
        ip(&format!("-n {ns} addr add {}/24 dev eth0", addr(host)));
        ip(&format!("-n {ns} link set eth0 up"));
        ip(&format!("-n {ns} route add 224.0.0.0/4 dev eth0"));
    }

    /// Name of a host's namespace.
    pub(crate) fn name(&self, host: Host) -> String {
        format!("{}{host}", self.prefix)
    }

    fn bridge(&self) -> String {
        format!("{}br", self.prefix)
    }

    /// Begins what `kind` does to the network, under the name `fault`.
    pub(crate) fn cut(&self, fault: u32, kind: &Kind) {
        match kind {
            Kind::Unplug(hosts) => self.set_cables(hosts, "down"),
            Kind::Narrow(hosts) => self.set_cables(hosts, "mtu 1280"),
            Kind::Renumber(host) => {
                self.renumber(*host, &format!("10.78.0.{}", 200 + host.number()))
            }
            Kind::Replace(host) => ip(&format!("-n {} link del eth0", self.name(*host))),
            _ => {}
        }
        for (host, rule) in rules(kind) {
            self.filter(host, fault, &rule);
        }
    }

    /// Ends what `cut` began.
    pub(crate) fn heal(&self, fault: u32, kind: &Kind) {
        match kind {
            Kind::Unplug(hosts) => self.set_cables(hosts, "up"),
            Kind::Narrow(hosts) => self.set_cables(hosts, "mtu 1500"),
            Kind::Renumber(host) => self.renumber(*host, &addr(*host)),
            Kind::Replace(host) => self.connect(*host),
            _ => {}
        }
        for (host, _) in rules(kind) {
            self.nft(host, &format!("delete table netdev fault{fault}"));
        }
    }

    /// The host has `addr` from now on, and no other address.
    fn renumber(&self, host: Host, addr: &str) {
        let ns = self.name(host);
        ip(&format!("-n {ns} addr flush dev eth0"));
        ip(&format!("-n {ns} addr add {addr}/24 dev eth0"));
        ip(&format!("-n {ns} route replace 224.0.0.0/4 dev eth0"));
    }

    /// What is done to a cable is done at the switch: an interface that is taken down at the host
    /// would lose its routes, too.
    fn set_cables(&self, hosts: &[Host], state: &str) {
        for host in hosts {
            ip(&format!("-n {} link set v{} {state}", self.bridge(), host.number()));
        }
    }

    /// A table of its own for each fault, so that faults that overlap end one by one.
    fn filter(&self, host: Host, fault: u32, rule: &str) {
        let table = format!(
            "table netdev fault{fault} {{ chain c {{ type filter hook ingress device \"eth0\" priority 0; {rule}; }}; }}"
        );
        self.nft(host, &table);
    }

    fn nft(&self, host: Host, rules: &str) {
        let mut nft = Command::new("ip")
            .args(["netns", "exec", &self.name(host), "nft", "-f", "-"])
            .stdin(Stdio::piped())
            .spawn()
            .expect("ip starts");
        let mut input = nft.stdin.take().expect("a pipe");
        input.write_all(rules.as_bytes()).expect("nft reads");
        drop(input);
        assert!(nft.wait().expect("nft ends").success(), "nft refused: {rules}");
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        drop(self.undertaker.stdin.take());
        let _ = self.undertaker.wait();
    }
}

/// Address of a host.
pub(crate) fn addr(host: Host) -> String {
    format!("10.78.0.{}", host.number())
}

/// What the packet filter of which host drops under a fault.
fn rules(kind: &Kind) -> Vec<(Host, String)> {
    let at = |hosts: &[Host], rule: String| {
        hosts.iter().map(|host| (*host, rule.clone())).collect::<Vec<_>>()
    };
    match kind {
        Kind::Partition(parts) => {
            let all = Host::all().into_iter();
            let cut_off = all.map(|host| (host, plan::unreached(parts, host)));
            let cut_off = cut_off.filter(|(_, others)| !others.is_empty());
            cut_off.map(|(host, others)| (host, from(&others))).collect()
        }
        Kind::OneWay(senders, to) => at(to, from(senders)),
        Kind::Mute(hosts) => {
            let others = Host::all().into_iter().filter(|host| !hosts.contains(host));
            let lost_by_others = format!("ip protocol udp {}", from(hosts));
            let mut rules = at(hosts, "ip protocol udp drop".into());
            rules.append(&mut at(&others.collect::<Vec<_>>(), lost_by_others));
            rules
        }
        Kind::Deafen(senders, to) => at(to, format!("ip daddr 224.0.0.0/4 {}", from(senders))),
        Kind::Loss(hosts) => at(hosts, "ip version 4 numgen random mod 100 < 5 drop".into()),
        Kind::Kill(_)
        | Kind::Stop(_)
        | Kind::Unplug(_)
        | Kind::Narrow(_)
        | Kind::Renumber(_)
        | Kind::Replace(_) => Vec::new(),
    }
}

/// A rule that drops what comes from `hosts`.
fn from(hosts: &[Host]) -> String {
    let addrs = hosts.iter().map(|host| addr(*host)).collect::<Vec<_>>();
    format!("ip saddr {{ {} }} drop", addrs.join(", "))
}

fn ip(args: &str) {
    let output = Command::new("ip").args(args.split(' ')).output().expect("ip starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {args}: {said}");
}

/// What this machine lacks for such a test, if it lacks anything.
pub(crate) fn lacking() -> Option<&'static str> {
    let works = |command: &str, args: &[&str]| {
        Command::new(command).args(args).output().is_ok_and(|output| output.status.success())
    };
    let root = Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout == b"0\n");
    match () {
        () if !root => Some("network namespaces need root"),
        () if !works("ip", &["netns", "list"]) => Some("ip netns does not work: install iproute2"),
        () if !works("nft", &["--version"]) => Some("nft does not work: install nftables"),
        () => None,
    }
}
