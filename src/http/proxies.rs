//! The proxies that are believed in what they say of a client.

use std::net::{IpAddr, SocketAddr};

/// Whether one of these networks, each an address and how many bits of it count, holds the address. One of IPv4 is one of IPv6.
pub(super) fn hold(networks: &[(IpAddr, u32)], address: IpAddr) -> bool {
    networks.iter().any(|(network, bits)| {
        let free = if network.is_ipv4() { 32 } else { 128 } - bits;
        (wide(*network) ^ wide(address)).checked_shr(free).is_none_or(|differing| differing == 0)
    })
}

fn wide(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().into(),
        IpAddr::V6(v6) => v6.into(),
    }
}

/// An address as proxies write it into `X-Forwarded-For`: some add the port, and then brackets around one of IPv6.
pub(super) fn hop(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let address = match text.parse::<SocketAddr>() {
        Ok(with_port) => with_port.ip(),
        Err(_) => text.trim_start_matches('[').trim_end_matches(']').parse().ok()?,
    };
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_known_by_its_network() {
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let holds = |network: &str, bits, other: &str| hold(&[(address(network), bits)], address(other));
        for (network, bits, inside, outside) in [
            ("127.0.0.1", 32, "127.0.0.1", "127.0.0.2"),
            ("127.0.0.1", 32, "::ffff:127.0.0.1", "::127.0.0.1"),
            ("::ffff:127.0.0.1", 128, "127.0.0.1", "127.0.0.2"),
            ("10.1.2.3", 8, "10.255.0.1", "11.0.0.1"),
            ("10.0.0.0", 9, "10.127.0.1", "10.128.0.1"),
            ("0.0.0.0", 0, "255.0.0.1", "2001:db8::1"),
            ("2001:db8::", 32, "2001:db8:ffff::1", "2001:db9::1"),
            ("::1", 128, "::1", "::2"),
        ] {
            assert!(holds(network, bits, inside), "{inside} is in {network}/{bits}");
            assert!(!holds(network, bits, outside), "{outside} is not in {network}/{bits}");
        }
        assert!(holds("::", 0, "10.0.0.1"));
        assert!(!hold(&[], address("127.0.0.1")));
    }

    #[test]
    fn a_hop_is_an_address_with_or_without_a_port() {
        for (text, address) in [
            (" 192.0.2.1", "192.0.2.1"),
            ("192.0.2.1:5678", "192.0.2.1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("2001:db8::1", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[2001:db8::1]:443", "2001:db8::1"),
        ] {
            assert_eq!(hop(text), Some(address.parse().unwrap()), "{text}");
        }
        for text in ["", "unknown", "_hidden", "192.0.2.1:99999", "192.0.2", "example.com:80"] {
            assert_eq!(hop(text), None, "{text}");
        }
    }
}
