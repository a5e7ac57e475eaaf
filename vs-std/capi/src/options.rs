//! How a group is joined, as C writes it.

use core::ffi::c_char;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use vs_core::ident::{GroupName, NUMBER_MAX, ProcessId};
use vs_core::order::Order;
use vs_std::{JoinOptions, Membership, Role, ServerName, SlowReader, keys, udp};

use crate::error::{Failure, VS_ERR_OPTION};
use crate::memory;

/// `order`: messages of one sender come in the order in which they were sent.
pub const VS_ORDER_FIFO: u32 = 0;
/// `order`: what a sender had delivered before it sent is delivered before.
pub const VS_ORDER_CAUSAL: u32 = 1;
/// `order`: all members deliver all messages in one order.
pub const VS_ORDER_TOTAL: u32 = 2;
/// `order`: the same, and all members have what is delivered.
pub const VS_ORDER_SAFE: u32 = 3;

/// `role`: sends and receives.
pub const VS_ROLE_MEMBER: u32 = 0;
/// `role`: only receives, and nobody waits for it.
pub const VS_ROLE_OBSERVER: u32 = 1;

/// `slow_reader`: as the role says.
pub const VS_SLOW_DEFAULT: u32 = 0;
/// `slow_reader`: the senders wait for this process.
pub const VS_SLOW_BLOCK: u32 = 1;
/// `slow_reader`: the oldest messages are skipped, which VS_EVENT_GAP tells.
pub const VS_SLOW_SKIP: u32 = 2;

/// How a group is joined. Set `size` to `sizeof(vs_options)` and everything else to zero: that is
/// the default of each field. All texts are read during the call alone.
#[repr(C)]
#[derive(Debug)]
pub struct vs_options {
    /// `sizeof(vs_options)`.
    pub size: u32,
    /// VS_ORDER_. The same at all members.
    pub order: u32,
    /// The id of this process, 1 to 2^53 - 1: the same after every start, and nobody else's. 0: one
    /// is drawn.
    pub process: u64,
    /// Name or address of an interface of this host, "127.0.0.1" to meet processes of this host
    /// alone. NULL: the one that leads to others.
    pub interface: *const c_char,
    /// Membership servers, as "HOST:PORT,HOST:PORT". NULL: none, members find each other.
    pub servers: *const c_char,
    /// Multicast group, as "IP:PORT". NULL: that of all members that name no other.
    pub multicast: *const c_char,
    /// File of keys, as `vs keygen` makes it. NULL: nothing is sealed.
    pub key_file: *const c_char,
    /// File for a trace. NULL: none.
    pub trace: *const c_char,
    /// Processes of which more than half make a view primary. NULL: none.
    pub primary_of: *const u64,
    /// How many there are.
    pub primary_of_len: usize,
    /// How long vs_send waits for room, in ms. 0: 10,000.
    pub send_timeout_ms: u64,
    /// How long the first view may take, in ms. 0: as long as it takes.
    pub join_timeout_ms: u64,
    /// How long a member may be silent, in ms. 0: the default of the group.
    pub peer_ms: u64,
    /// Most members of a view. 0: 16.
    pub members_max: u64,
    /// Bytes of the largest message. 0: 1 MiB.
    pub message_bytes_max: u64,
    /// Bytes of events that wait to be received. 0: 4 MiB.
    pub inbox_bytes: u64,
    /// Bytes of messages that wait to be sent. 0: 256 KiB.
    pub outbox_bytes: u64,
    /// VS_ROLE_.
    pub role: u32,
    /// VS_SLOW_.
    pub slow_reader: u32,
    /// Not 0: without IP multicast, a copy goes to each member.
    pub unicast: u32,
    /// 0.
    pub reserved: u32,
}

fn option(name: &str, why: impl core::fmt::Display) -> Failure {
    Failure::new(VS_ERR_OPTION, format!("{name}: {why}"))
}

/// The name of a group.
///
/// # Safety
/// As of a text.
pub(crate) unsafe fn group_name(name: *const c_char) -> Result<GroupName, Failure> {
    // SAFETY: the caller promises the same.
    let name = unsafe { memory::text(name, "the name of the group") }?;
    let name = name.ok_or_else(|| Failure::argument("the name of the group is NULL: name one"))?;
    name.parse().map_err(|error| option("the name of the group", error))
}

/// What `options` say; NULL: everything by default.
///
/// # Safety
/// `options` is NULL or a `vs_options` as it says of itself.
pub(crate) unsafe fn read(options: *const vs_options) -> Result<JoinOptions, Failure> {
    if options.is_null() {
        return Ok(JoinOptions::discover());
    }
    // SAFETY: it has the size that it says, and zero bytes are one; any bytes of its kinds are.
    let raw = unsafe { memory::sized(options, "options") }?;
    // SAFETY: its texts and its list are NULL or as their fields say.
    let (interface, servers, multicast, key_file, trace, primary_of) = unsafe {
        (
            memory::text(raw.interface, "interface")?,
            memory::text(raw.servers, "servers")?,
            memory::text(raw.multicast, "multicast")?,
            memory::text(raw.key_file, "key_file")?,
            memory::text(raw.trace, "trace")?,
            processes(raw.primary_of, raw.primary_of_len, "primary_of")?,
        )
    };
    let mut join = JoinOptions::discover();
    place(&mut join, interface, multicast, raw.unicast != 0)?;
    if raw.process > NUMBER_MAX {
        return Err(option(
            "process",
            format!("{} is above 2^53 - 1: choose another", raw.process),
        ));
    }
    if raw.process != 0 {
        join.driver.process = ProcessId(raw.process);
    }
    if let Some(servers) = servers {
        let names = servers.split(',').map(|name| name.trim().parse::<ServerName>());
        let names = names.collect::<Result<_, _>>().map_err(|error| option("servers", error))?;
        join.driver.membership = Membership::Servers(names);
    }
    if let Some(file) = key_file {
        join = join.with_keys(read_keys(file)?);
    }
    join.trace = trace.map(Into::into);
    join.group.primary_of = primary_of;
    choices(&mut join, &raw)?;
    bounds(&mut join, &raw)?;
    Ok(join)
}

/// Keys of a file.
pub(crate) fn read_keys(file: &str) -> Result<vs_core::seal::Keys, Failure> {
    let ring = keys::read_key_file(file).map_err(|error| option("key_file", error))?;
    keys::keys(ring).map_err(|error| option("key_file", error))
}

/// Ids of processes.
///
/// # Safety
/// `list` is NULL or has `len` ids.
pub(crate) unsafe fn processes(
    list: *const u64,
    len: usize,
    name: &str,
) -> Result<Vec<ProcessId>, Failure> {
    if len == 0 {
        return Ok(Vec::new());
    }
    if list.is_null() || !list.is_aligned() || len > 1 << 16 {
        return Err(option(name, "it is NULL, or too long: hand in as many ids as you say"));
    }
    // SAFETY: there are `len` ids, says the caller; it is aligned, and the length was checked.
    let ids = unsafe { core::slice::from_raw_parts(list, len) };
    if let Some(id) = ids.iter().find(|id| **id > NUMBER_MAX) {
        return Err(option(name, format!("{id} is above 2^53 - 1: choose another")));
    }
    let mut ids: Vec<_> = ids.iter().copied().map(ProcessId).collect();
    ids.sort_unstable();
    ids.dedup();
    Ok(ids)
}

fn place(
    join: &mut JoinOptions,
    interface: Option<&str>,
    multicast: Option<&str>,
    unicast: bool,
) -> Result<(), Failure> {
    let parse = |text: &str| text.parse::<SocketAddr>();
    let multicast = multicast.map(parse).transpose().map_err(|error| option("multicast", error))?;
    if let Some(interface) = interface {
        let addr = match interface.parse::<IpAddr>() {
            Ok(addr) => Some(addr),
            Err(_) => {
                let found = udp::addresses_of(interface);
                let found = found.map_err(|error| option("interface", error))?;
                let fits = |ip: &&IpAddr| multicast.is_none_or(|to| to.is_ipv6() == ip.is_ipv6());
                found.iter().find(fits).copied()
            }
        };
        let none = "no interface of this host has that name or address: name one that has";
        let addr = addr.ok_or_else(|| option("interface", none))?;
        let process = join.driver.process;
        *join = JoinOptions::without_server(process, udp::UdpConfig::on(addr));
    }
    join.driver.udp.multicast = multicast.unwrap_or(join.driver.udp.multicast);
    join.driver.udp.unicast = unicast;
    Ok(())
}

fn choices(join: &mut JoinOptions, raw: &vs_options) -> Result<(), Failure> {
    let unknown = |name, value: u32| option(name, format!("there is no {value}: see the header"));
    join.group.order = match raw.order {
        VS_ORDER_FIFO => Order::Fifo,
        VS_ORDER_CAUSAL => Order::Causal,
        VS_ORDER_TOTAL => Order::Total,
        VS_ORDER_SAFE => Order::Safe,
        other => return Err(unknown("order", other)),
    };
    join.role = match raw.role {
        VS_ROLE_MEMBER => Role::Member,
        VS_ROLE_OBSERVER => Role::Observer,
        other => return Err(unknown("role", other)),
    };
    join.slow_reader = match raw.slow_reader {
        VS_SLOW_DEFAULT => None,
        VS_SLOW_BLOCK => Some(SlowReader::Block),
        VS_SLOW_SKIP => Some(SlowReader::Skip),
        other => return Err(unknown("slow_reader", other)),
    };
    if raw.reserved != 0 {
        return Err(option("reserved", "it is not 0: set it so"));
    }
    Ok(())
}

fn bounds(join: &mut JoinOptions, raw: &vs_options) -> Result<(), Failure> {
    let bytes = |name, value: u64, default: usize| match value {
        0 => Ok(default),
        value => usize::try_from(value).map_err(|error| option(name, error)),
    };
    join.inbox_bytes = bytes("inbox_bytes", raw.inbox_bytes, join.inbox_bytes)?;
    join.outbox_bytes = bytes("outbox_bytes", raw.outbox_bytes, join.outbox_bytes)?;
    let group = &mut join.group;
    group.members_max = bytes("members_max", raw.members_max, group.members_max)?;
    group.message_bytes_max =
        bytes("message_bytes_max", raw.message_bytes_max, group.message_bytes_max)?;
    if raw.peer_ms != 0 {
        group.peer_ms = raw.peer_ms;
    }
    if raw.send_timeout_ms != 0 {
        join.send_timeout = Duration::from_millis(raw.send_timeout_ms);
    }
    if raw.join_timeout_ms != 0 {
        join.join_timeout = Some(Duration::from_millis(raw.join_timeout_ms));
    }
    Ok(())
}
