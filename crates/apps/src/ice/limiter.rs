//! The request rate of an address.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};

use crate::clock;

/// Counts requests by address, for a bounded number of addresses.
pub(super) struct Limiter {
    quota: Quota,
    addresses: usize,
    // One lock for the count and the check, so that the bound holds.
    limiter: Mutex<ByNetwork>,
}

type ByNetwork =
    RateLimiter<IpAddr, HashMapStateStore<IpAddr>, RuntimeClock, NoOpMiddleware<Instant>>;

impl Limiter {
    pub(super) fn new(requests_per_minute: NonZeroU32, addresses: usize) -> Self {
        let quota = Quota::per_minute(requests_per_minute);
        Self {
            quota,
            addresses,
            limiter: Mutex::new(ByNetwork::hashmap_with_clock(quota, RuntimeClock)),
        }
    }

    /// Counts a request. The error is the time until the next is allowed.
    pub(super) fn check(&self, from: IpAddr) -> Result<(), Duration> {
        let mut limiter = self.limiter.lock().unwrap_or_else(PoisonError::into_inner);
        if limiter.len() >= self.addresses {
            limiter.retain_recent();
        }
        if limiter.len() >= self.addresses {
            // An attacker with that many networks is not stopped by a limit for each. Refusing new
            // addresses would stop all other clients instead.
            tracing::warn!(
                addresses = self.addresses,
                "more addresses ask for ICE servers than the limiter can count: all counts start at zero"
            );
            *limiter = ByNetwork::hashmap_with_clock(self.quota, RuntimeClock);
        }
        limiter.check_key(&network(from)).map_err(|until| until.wait_time_from(clock::now()))
    }
}

/// A household has 64 bits of IPv6 addresses to itself, so these count as one.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() & !u128::from(u64::MAX)).into()),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// The clock that tests pause.
#[derive(Clone, Copy, Debug)]
struct RuntimeClock;

impl Clock for RuntimeClock {
    type Instant = Instant;

    fn now(&self) -> Instant {
        clock::now()
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    fn limiter(requests: u32, addresses: usize) -> Limiter {
        Limiter::new(NonZeroU32::new(requests).expect("not 0"), addresses)
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_has_its_requests_and_gets_new_ones_with_time() {
        let limiter = limiter(2, 10);
        let [ann, bob] = ["192.0.2.1", "192.0.2.2"].map(|text| text.parse().expect("an address"));
        assert_eq!((limiter.check(ann), limiter.check(ann)), (Ok(()), Ok(())));
        assert_eq!(limiter.check(ann), Err(Duration::from_secs(30)));
        assert_eq!(limiter.check(bob), Ok(()));
        advance(Duration::from_secs(29)).await;
        assert_eq!(limiter.check(ann), Err(Duration::from_secs(1)));
        advance(Duration::from_secs(1)).await;
        assert_eq!(limiter.check(ann), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_network_of_v6_addresses_is_one_and_a_mapped_v4_address_is_itself() {
        let limiter = limiter(1, 10);
        let check = |text: &str| limiter.check(text.parse().expect("an address")).is_ok();
        assert!(check("2001:db8::1"));
        assert!(!check("2001:db8::ffff:1"));
        assert!(check("2001:db8:0:1::1"));
        assert!(check("192.0.2.1"));
        assert!(!check("::ffff:192.0.2.1"));
        assert!(check("::ffff:192.0.2.2"));
    }

    #[tokio::test(start_paused = true)]
    async fn the_number_of_addresses_is_bounded() {
        let limiter = limiter(1, 100);
        for n in 0..10_000_u32 {
            assert_eq!(limiter.check(IpAddr::V4(n.into())), Ok(()));
            assert!(limiter.limiter.lock().expect("not poisoned").len() <= 100);
        }
        // Idle addresses make room before active ones are dropped.
        advance(Duration::from_secs(120)).await;
        let late = IpAddr::V4(u32::MAX.into());
        for n in 0..98_u32 {
            assert_eq!(limiter.check(IpAddr::V4(n.into())), Ok(()));
        }
        assert_eq!((limiter.check(late), limiter.check(late).is_err()), (Ok(()), true));
    }
}
