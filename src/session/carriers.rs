//! The connections that frames of a session are on their way through.

use std::sync::Weak;

/// A connection that can be ended by a task that does not drive it.
pub(crate) trait Connection: Send + Sync {
    /// Ends it at once. Its driver is woken, and drops what has not left.
    fn reset(&self);
}

/// Which connections have frames of a session on their way: as a rule none or one, and two when a
/// client comes back before the last bytes of its previous response have left.
///
/// Weak, because a session must not keep the socket of a connection that has ended.
#[derive(Default)]
pub(super) struct Carriers(Vec<Carrier>);

struct Carrier {
    connection: Weak<dyn Connection>,
    frames: u32,
}

/// Tells a carrier from the others of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CarrierId(usize);

impl CarrierId {
    fn of(connection: &Weak<dyn Connection>) -> Self {
        Self(connection.as_ptr().cast::<()>() as usize)
    }
}

impl Carriers {
    /// A frame goes to this connection.
    pub(super) fn take_on(&mut self, connection: &Weak<dyn Connection>) -> CarrierId {
        let id = CarrierId::of(connection);
        match self.of(id) {
            Some(carrier) => carrier.frames += 1,
            None => self.0.push(Carrier { connection: connection.clone(), frames: 1 }),
        }
        id
    }

    /// One more frame goes to a connection that has some already.
    pub(super) fn take_on_more(&mut self, id: CarrierId) {
        if let Some(carrier) = self.of(id) {
            carrier.frames += 1;
        }
    }

    /// A frame has left, or is lost.
    pub(super) fn let_go(&mut self, id: CarrierId) {
        if let Some(carrier) = self.of(id) {
            carrier.frames -= 1;
            // The room stays for the next frame.
            self.0.retain(|carrier| carrier.frames > 0);
        }
    }

    /// Ends all that have frames on their way. The session's lock must be free.
    pub(super) fn reset(self) {
        self.0.iter().filter_map(|carrier| carrier.connection.upgrade()).for_each(|it| it.reset());
    }

    fn of(&mut self, id: CarrierId) -> Option<&mut Carrier> {
        self.0.iter_mut().find(|carrier| CarrierId::of(&carrier.connection) == id)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[derive(Default)]
    struct Counted(AtomicUsize);

    impl Connection for Counted {
        fn reset(&self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A proxy may have given a connection to another client as soon as its response was through.
    #[test]
    fn only_connections_with_frames_on_their_way_are_reset() {
        let connections: [Arc<Counted>; 4] = Default::default();
        let weak = |at: usize| -> Weak<dyn Connection> {
            let connection: Weak<Counted> = Arc::downgrade(&connections[at]);
            connection
        };
        let mut carriers = Carriers::default();
        let first = carriers.take_on(&weak(0));
        assert_eq!(carriers.take_on(&weak(0)), first);
        let second = carriers.take_on(&weak(1));
        carriers.take_on_more(second);
        carriers.take_on(&weak(2));
        for _ in 0..2 {
            carriers.let_go(first);
        }
        carriers.let_go(second);
        // It has been told of already.
        carriers.let_go(first);
        carriers.reset();
        let resets = connections.map(|it| it.0.load(Ordering::Relaxed));
        assert_eq!(resets, [0, 1, 1, 0]);
    }
}
