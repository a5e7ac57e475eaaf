//! The hosts: network namespaces on one bridge, and what is done to their network.

use std::collections::BTreeSet;
use std::fs::DirEntry;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::draw::unreached;
use crate::kind::Kind;
use crate::plan::Host;
use crate::wire::Wire;

/// Network of a run. Its namespaces are named after the process of the driver, so that two runs do
/// not meet.
pub(crate) struct Hosts {
    prefix: String,
    /// Servers that are at their second address.
    moved: BTreeSet<Host>,
    /// Hosts that know no name.
    nameless: BTreeSet<Host>,
    /// Those that run, each under the number of its fault.
    wires: Vec<(u32, Wire)>,
    undertaker: Child,
}

/// The end of the test: its namespaces go, who still lives in them, what they knew of names, and
/// the disks of traces. It waits in a process of its own for the end of its input, which comes
/// however the driver ends: regularly, by a panic, by Ctrl-C or by `kill -9`.
const UNDERTAKER: &str = r#"
trap '' INT TERM HUP
read -r _
traces=$1
shift
for ns in "$@"; do
    for pid in $(ip netns pids "$ns" 2>/dev/null); do kill -9 "$pid" 2>/dev/null; done
    ip netns del "$ns" 2>/dev/null
    rm -rf "/etc/netns/$ns"
done
for disk in "$traces"/*/; do umount -l "$disk" 2>/dev/null; done
true
"#;

/// Offloads leave checksums and segments to a network card. A wire in user space is none.
const OFFLOADS: [&str; 6] = ["tx", "rx", "sg", "tso", "gso", "gro"];

impl Hosts {
    /// Makes the bridge and a namespace for each host.
    pub(crate) fn new(traces: &Path) -> Self {
        let prefix = format!("vsc{}-", std::process::id());
        let names = Host::all().iter().map(|host| format!("{prefix}{host}")).collect::<Vec<_>>();
        let bridge = format!("{prefix}br");
        let undertaker = Command::new("sh")
            .args(["-c", UNDERTAKER, "undertaker"])
            .arg(traces)
            .args(names)
            .arg(&bridge)
            .stdin(Stdio::piped())
            .spawn()
            .expect("sh starts");
        let (moved, nameless, wires) = Default::default();
        let hosts = Self { prefix, moved, nameless, wires, undertaker };
        ip(&format!("netns add {bridge}"));
        ip(&format!(
            "-n {bridge} link add br0 type bridge mcast_snooping 0 stp_state 0 forward_delay 0"
        ));
        ip(&format!("-n {bridge} link set br0 up"));
        for host in Host::all() {
            hosts.add(host);
        }
        hosts.write_names();
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

    /// Where the server of a host listens now.
    pub(crate) fn addr(&self, host: Host) -> String {
        if self.moved.contains(&host) { second_addr(host) } else { addr(host) }
    }

    /// What each host knows of names: those of the servers, unless it knows none.
    fn write_names(&self) {
        for host in Host::all() {
            let mut names = "127.0.0.1 localhost\n".to_owned();
            for server in Host::servers().into_iter().filter(|_| !self.nameless.contains(&host)) {
                names += &format!("{} {server}\n", self.addr(server));
            }
            let dir = format!("/etc/netns/{}", self.name(host));
            std::fs::create_dir_all(&dir).expect("/etc/netns can be written");
            // Written in place: the processes there see one file from their start on.
            std::fs::write(format!("{dir}/hosts"), names).expect("names can be written");
            let no_server = "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n";
            std::fs::write(format!("{dir}/resolv.conf"), no_server).expect("so can these");
        }
    }

    /// Name of a host's namespace.
    pub(crate) fn name(&self, host: Host) -> String {
        format!("{}{host}", self.prefix)
    }

    fn bridge(&self) -> String {
        format!("{}br", self.prefix)
    }

    /// Begins what `kind` does to the network, under the name `fault`.
    pub(crate) fn cut(&mut self, fault: u32, kind: &Kind) {
        match kind {
            Kind::Unplug(hosts) => self.set_cables(hosts, "down"),
            Kind::Narrow(hosts) => self.set_cables(hosts, "mtu 1280"),
            Kind::NarrowTold(hosts) => self.set_routes(hosts, "mtu 1280"),
            Kind::Renumber(host) => self.renumber(*host, &second_addr(*host)),
            Kind::Replace(host) => ip(&format!("-n {} link del eth0", self.name(*host))),
            Kind::Move(host) => self.set_moved(*host, true),
            Kind::Nameless(host) => self.set_nameless(*host, true),
            Kind::Shuffle(host) => self.rewire(fault, *host),
            _ => {}
        }
        for (host, rule) in rules(kind) {
            self.filter(host, fault, &rule);
        }
    }

    /// Ends what `cut` began.
    pub(crate) fn heal(&mut self, fault: u32, kind: &Kind) {
        match kind {
            Kind::Unplug(hosts) => self.set_cables(hosts, "up"),
            Kind::Narrow(hosts) => self.set_cables(hosts, "mtu 1500"),
            Kind::NarrowTold(hosts) => self.set_routes(hosts, ""),
            Kind::Renumber(host) => self.renumber(*host, &addr(*host)),
            Kind::Replace(host) => self.connect(*host),
            Kind::Move(host) => self.set_moved(*host, false),
            Kind::Nameless(host) => self.set_nameless(*host, false),
            Kind::Shuffle(host) => self.unwire(fault, *host),
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

    /// A server that moved is found under its name by all.
    fn set_moved(&mut self, host: Host, moved: bool) {
        if moved {
            self.moved.insert(host)
        } else {
            self.moved.remove(&host)
        };
        self.renumber(host, &self.addr(host));
        self.write_names();
    }

    fn set_nameless(&mut self, host: Host, nameless: bool) {
        if nameless {
            self.nameless.insert(host)
        } else {
            self.nameless.remove(&host)
        };
        self.write_names();
    }

    /// Both routes of the hosts, with `attributes`.
    fn set_routes(&self, hosts: &[Host], attributes: &str) {
        for host in hosts {
            let (ns, addr) = (self.name(*host), addr(*host));
            ip(&format!("-n {ns} route replace 224.0.0.0/4 dev eth0 {attributes}"));
            let local = "10.78.0.0/24 dev eth0 proto kernel scope link src";
            ip(&format!("-n {ns} route replace {local} {addr} {attributes}"));
        }
    }

    /// Puts a wire in user space between the cable of a host and the switch.
    fn rewire(&mut self, fault: u32, host: Host) {
        if self.wires.is_empty() {
            self.set_offloads("off");
        }
        let (bridge, number) = (self.bridge(), host.number());
        ip(&format!("-n {bridge} link add w{number} type veth peer name x{number}"));
        ip(&format!("-n {bridge} link set v{number} nomaster"));
        ip(&format!("-n {bridge} link set x{number} master br0 up"));
        ip(&format!("-n {bridge} link set w{number} up"));
        let ends = [format!("v{number}"), format!("w{number}")];
        self.wires.push((fault, Wire::start(&bridge, u64::from(fault), &ends)));
    }

    fn unwire(&mut self, fault: u32, host: Host) {
        let (bridge, number) = (self.bridge(), host.number());
        self.wires.retain(|(of, _)| *of != fault);
        ip(&format!("-n {bridge} link del w{number}"));
        ip(&format!("-n {bridge} link set v{number} master br0"));
        if self.wires.is_empty() {
            self.set_offloads("on");
        }
    }

    fn set_offloads(&self, state: &str) {
        for host in Host::all() {
            let ns = self.name(host);
            let mut ethtool = Command::new("ip");
            ethtool.args(["netns", "exec", &ns, "ethtool", "-K", "eth0"]);
            ethtool.args(OFFLOADS.iter().flat_map(|offload| [offload, state]));
            let output = ethtool.output().expect("ip starts");
            assert!(output.status.success(), "ethtool at {host}: {output:?}");
        }
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

/// Where a host is while it is elsewhere.
fn second_addr(host: Host) -> String {
    let last = match host {
        Host::Member(id) => 200 + id,
        Host::Server(id) => 220 + id,
    };
    format!("10.78.0.{last}")
}

/// What the packet filter of which host drops under a fault.
fn rules(kind: &Kind) -> Vec<(Host, String)> {
    let at = |hosts: &[Host], rule: String| {
        hosts.iter().map(|host| (*host, rule.clone())).collect::<Vec<_>>()
    };
    match kind {
        Kind::Partition(parts) => {
            let all = Host::all().into_iter();
            let cut_off = all.map(|host| (host, unreached(parts, host)));
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
        Kind::Deafen(senders, to) => at(to, deaf(senders)),
        Kind::DeafenBoth(a, b) => [at(b, deaf(a)), at(a, deaf(b))].concat(),
        Kind::Loss(hosts) => at(hosts, "ip version 4 numgen random mod 100 < 5 drop".into()),
        _ => Vec::new(),
    }
}

/// A rule that drops multicasts of `hosts`.
fn deaf(hosts: &[Host]) -> String {
    format!("ip daddr 224.0.0.0/4 {}", from(hosts))
}

/// A rule that drops what comes from `hosts`.
fn from(hosts: &[Host]) -> String {
    let addrs = hosts.iter().map(|host| addr(*host)).collect::<Vec<_>>();
    format!("ip saddr {{ {} }} drop", addrs.join(", "))
}

fn ip(args: &str) {
    let output = Command::new("ip").args(args.split_whitespace()).output().expect("ip starts");
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
        () if !works("ethtool", &["--version"]) => Some("ethtool is missing"),
        () if !works("python3", &["--version"]) => Some("python3 is missing"),
        () if faketime().is_none() => Some("libfaketime is missing"),
        () => None,
    }
}

/// The library that sets a process's wall clock wrong.
pub(crate) fn faketime() -> Option<PathBuf> {
    let architectures = std::fs::read_dir("/usr/lib").ok()?;
    let path = |dir: DirEntry| dir.path().join("faketime/libfaketime.so.1");
    architectures.filter_map(Result::ok).map(path).find(|path| path.exists())
}
