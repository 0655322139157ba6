//! From a host's name to the addresses that may be called.
//!
//! The HTTP client connects to what comes from here and to nothing else: the address that was checked
//! is the address that is called, whatever the name's servers answer a moment later.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::address::{self, Allow};

/// Addresses of one name that are looked at.
const MOST_ADDRESSES: usize = 16;

/// Asks for a name's addresses.
pub(super) trait Lookup: Send + Sync {
    fn lookup(&self, name: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>>;
}

/// The system's resolver: /etc/hosts, DNS, whatever nsswitch.conf(5) says.
#[derive(Debug)]
pub(super) struct System;

impl Lookup for System {
    fn lookup(&self, name: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let name = name.to_owned();
        async move {
            let found = tokio::net::lookup_host((name, 0)).await?;
            Ok(found
                .map(|address| address.ip())
                .take(MOST_ADDRESSES)
                .collect())
        }
        .boxed()
    }
}

/// No address of a name may be called, or it has none. Which of the two, clients are not told: it
/// would let them list the names of the operator's network.
#[derive(Debug, thiserror::Error)]
#[error("the host's name leads to no address that webhooks may go to")]
pub(super) struct NoAddress;

/// Lets only checked addresses through.
pub(super) struct Checked<L> {
    lookup: L,
    allow: Arc<[Allow]>,
}

impl<L: Lookup> Checked<L> {
    pub(super) fn new(lookup: L, allow: Arc<[Allow]>) -> Self {
        Self { lookup, allow }
    }
}

impl<L: Lookup> Resolve for Checked<L> {
    fn resolve(&self, name: Name) -> Resolving {
        let found = self.lookup.lookup(name.as_str());
        let allow = Arc::clone(&self.allow);
        Box::pin(async move {
            let name = name.as_str();
            let found = found.await.map_err(|error| {
                tracing::info!(host = name, "a webhook's host is not found: {error}");
                NoAddress
            })?;
            let addresses = permitted(&allow, name, &found);
            if addresses.is_empty() {
                return Err(NoAddress.into());
            }
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// Those of a name's addresses that may be called. Without a port, which the URL has.
fn permitted(allow: &[Allow], name: &str, found: &[IpAddr]) -> Vec<SocketAddr> {
    let any = address::permits_name(allow, name);
    let ok = |address: &IpAddr| match address::check(allow, *address) {
        Err(refused) if !any => {
            tracing::warn!(
                host = name,
                "a webhook's host leads where none may go: {refused}"
            );
            false
        }
        _ => true,
    };
    let permitted = found.iter().copied().filter(ok);
    permitted
        .map(|address| SocketAddr::new(address, 0))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_permitted_addresses_of_a_name_are_called() {
        let public: IpAddr = "1.1.1.1".parse().unwrap();
        let private: IpAddr = "10.0.0.1".parse().unwrap();
        let called = |allow: &[Allow], name: &str| -> Vec<IpAddr> {
            let permitted = permitted(allow, name, &[private, public]);
            permitted.iter().map(SocketAddr::ip).collect()
        };
        assert_eq!(called(&[], "oj.example"), [public]);
        let name = [Allow::try_from("oj.internal".to_owned()).unwrap()];
        assert_eq!(called(&name, "oj.internal"), [private, public]);
        assert_eq!(called(&name, "oj.example"), [public]);
        let net = [Allow::try_from("10.0.0.0/8".to_owned()).unwrap()];
        assert_eq!(called(&net, "oj.example"), [private, public]);
    }

    #[tokio::test]
    async fn the_system_knows_localhost() {
        let found = System.lookup("localhost").await.unwrap();
        assert!(
            !found.is_empty() && found.iter().all(IpAddr::is_loopback),
            "{found:?}"
        );
    }
}
