//! Whether the addresses, interfaces or routes of this host may have changed.

#[cfg(target_os = "linux")]
pub(crate) use linux::Changes;
#[cfg(not(target_os = "linux"))]
pub(crate) use polled::Changes;

/// The kernel tells of each change. What it says is not looked at: that it says something is
/// enough.
#[cfg(target_os = "linux")]
mod linux {
    use rustix::fd::OwnedFd;
    use rustix::io::Errno;
    use rustix::net::netlink::SocketAddrNetlink;
    use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, bind, recv, socket_with};

    /// Links, addresses and routes (`RTMGRP_LINK`, `RTMGRP_IPV4_IFADDR`, `RTMGRP_IPV4_ROUTE`,
    /// `RTMGRP_IPV6_IFADDR`, `RTMGRP_IPV6_ROUTE`).
    const GROUPS: u32 = 0x1 | 0x10 | 0x40 | 0x100 | 0x400;

    /// Messages that are read at once; more are left for the next time.
    const MESSAGES_MAX: usize = 64;

    /// Reports of the kernel.
    #[derive(Debug)]
    pub(crate) struct Changes(Option<OwnedFd>);

    impl Changes {
        pub(crate) fn new() -> Self {
            let open = || {
                let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
                let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
                bind(&socket, &SocketAddrNetlink::new(0, GROUPS))?;
                Ok::<_, Errno>(socket)
            };
            Self(open().ok())
        }

        /// Whether something may have changed since the last call. Without reports it always may.
        pub(crate) fn take(&mut self) -> bool {
            let Some(socket) = &self.0 else { return true };
            let mut has_changed = false;
            for _ in 0..MESSAGES_MAX {
                // A message that does not fit is cut, and one for which there was no room is an
                // error: both are reports.
                match recv(socket, &mut [0_u8; 64], RecvFlags::DONTWAIT) {
                    Err(Errno::AGAIN) => break,
                    _ => has_changed = true,
                }
            }
            has_changed
        }
    }
}

/// Nobody tells: it is looked at each time.
#[cfg(not(target_os = "linux"))]
mod polled {
    /// Stands for reports of the system.
    #[derive(Debug)]
    pub(crate) struct Changes;

    impl Changes {
        pub(crate) fn new() -> Self {
            Self
        }

        pub(crate) fn take(&mut self) -> bool {
            true
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Changes;

    #[test]
    fn nothing_changes_by_itself() {
        let mut changes = Changes::new();
        changes.take();
        if cfg!(target_os = "linux") {
            assert!((0..3).any(|_| !changes.take()), "the host is not quiet for a moment");
        }
    }
}
