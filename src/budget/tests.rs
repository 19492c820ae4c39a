use std::sync::Weak;
use std::task::{Context, Waker};

use super::*;

/// Holds the bytes that it was given, and releases them when it is ended.
struct Hoard {
    account: Account,
    queued: AtomicUsize,
}

impl Hoard {
    fn new(budget: &Budget, fixed: usize, queued: usize) -> Arc<Self> {
        let hoard = Arc::new_cyclic(|this: &Weak<Self>| Self {
            account: Account::new(budget, this.clone(), fixed),
            queued: AtomicUsize::new(queued),
        });
        budget.charge(signed(queued));
        hoard
    }

    fn is_ended(&self) -> bool {
        self.queued.load(Ordering::Relaxed) == 0
    }
}

impl Holder for Hoard {
    fn held(&self) -> usize {
        self.account.held() + self.queued.load(Ordering::Relaxed)
    }

    fn end(self: Arc<Self>, _: usize) -> bool {
        if !self.account.end() {
            return false;
        }
        self.account.budget().charge(-signed(self.queued.swap(0, Ordering::Relaxed)));
        true
    }
}

fn hoards(budget: &Budget, sizes: &[usize]) -> Vec<Arc<Hoard>> {
    sizes.iter().map(|size| Hoard::new(budget, 0, *size)).collect()
}

fn ended(hoards: &[Arc<Hoard>]) -> Vec<usize> {
    (0..hoards.len()).filter(|at| hoards[*at].is_ended()).collect()
}

#[test]
fn a_budget_without_limit_counts_and_refuses_nothing() {
    let budget = Budget::new(usize::MAX);
    let held = budget.hold(1 << 40);
    assert_eq!((budget.used(), budget.limit(), budget.is_short()), (1 << 40, None, false));
    drop(held);
    assert_eq!(budget.used(), 0);
}

#[test]
fn from_80_percent_on_memory_is_short() {
    let budget = Budget::new(1000);
    let mut held = budget.hold(799);
    assert!(!budget.is_short());
    held.set(800);
    assert!(budget.is_short());
    held.set(799);
    assert!(!budget.is_short());
}

#[test]
fn a_limit_can_be_set_later_and_taken_away() {
    let budget = Budget::new(usize::MAX);
    let _held = budget.hold(900);
    budget.set_limit(1000);
    assert!(budget.is_short());
    budget.set_limit(usize::MAX);
    assert!(!budget.is_short());
}

#[test]
fn at_the_limit_the_largest_are_ended_first_down_to_90_percent() {
    let budget = Budget::new(1000);
    let hoards = hoards(&budget, &[150, 60, 400, 90, 200]);
    assert_eq!((budget.used(), budget.ended()), (900, 0), "above 80 %, and nobody is ended");
    let late = Hoard::new(&budget, 0, 99);
    assert_eq!((budget.used(), budget.ended()), (999, 0));
    let last = Hoard::new(&budget, 0, 1);
    assert_eq!(
        (ended(&hoards), budget.used(), budget.ended()),
        (vec![2], 600, 1),
        "one is enough for 90 %"
    );
    assert!(!late.is_ended() && !last.is_ended());
}

#[test]
fn as_many_are_ended_as_it_takes() {
    let budget = Budget::new(1000);
    let hoards = hoards(&budget, &[30; 34]);
    assert_eq!((ended(&hoards).len(), budget.ended()), (4, 4), "from 1020 down to 90 %");
    assert_eq!(budget.used(), 900);
}

/// The memory of an ended session's task is released when that task runs. Until then no other
/// session is ended in its place.
#[test]
fn who_gives_back_late_costs_others_nothing() {
    let budget = Budget::new(1000);
    let hoarder = Hoard::new(&budget, 700, 1);
    let other = Hoard::new(&budget, 0, 200);
    let more = Hoard::new(&budget, 0, 99);
    assert_eq!((hoarder.is_ended(), other.is_ended(), budget.used()), (true, false, 999));
    hoarder.account.add(500);
    assert_eq!(budget.used(), 1499, "what it still takes is no reason to end others");
    let _held = budget.hold(600);
    assert!(!other.is_ended() && !more.is_ended());
    hoarder.account.add(-1100);
    drop(hoarder);
    assert_eq!(budget.used(), 899);
    // Only the other holders' memory is left.
    let _held = budget.hold(200);
    assert!(other.is_ended());
    assert_eq!(budget.inner.leaving.load(Ordering::SeqCst), 0);
}

#[test]
fn a_holder_that_has_gone_is_not_ended() {
    let budget = Budget::new(1000);
    let hoards = hoards(&budget, &[100; 5]);
    let gone = Hoard::new(&budget, 300, 10);
    budget.charge(-10);
    drop(gone);
    assert_eq!(budget.used(), 500);
    let _held = budget.hold(500);
    assert_eq!(budget.ended(), 1);
    drop(hoards);
}

#[test]
fn who_waits_for_memory_is_woken_when_there_is_some() {
    let budget = Budget::new(1000);
    let (mut held, mut ticket) = (budget.hold(800), Ticket::default());
    let (woken, waker) = counting_waker();
    let mut cx = Context::from_waker(&waker);
    assert!(budget.poll_ease(&mut ticket, &mut cx).is_pending());
    assert!(budget.poll_ease(&mut ticket, &mut cx).is_pending());
    held.set(900);
    assert_eq!(woken.load(Ordering::SeqCst), 0);
    held.set(799);
    assert_eq!(woken.load(Ordering::SeqCst), 1, "it stands there once");
    assert!(budget.poll_ease(&mut ticket, &mut cx).is_ready());

    held.set(800);
    assert!(budget.poll_ease(&mut ticket, &mut cx).is_pending());
    budget.stop_waiting(&mut ticket);
    held.set(0);
    assert_eq!(woken.load(Ordering::SeqCst), 1, "it has given up");
}

fn counting_waker() -> (Arc<AtomicUsize>, Waker) {
    struct Count(Arc<AtomicUsize>);
    impl std::task::Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let count = Arc::new(AtomicUsize::new(0));
    (Arc::clone(&count), Arc::new(Count(count)).into())
}

/// Charges of many threads at once: no waiter is left while there is memory, and nothing is left
/// counted.
#[test]
fn no_wake_is_lost_between_threads() {
    let budget = Budget::new(1000);
    for _ in 0..200 {
        let (woken, waker) = counting_waker();
        let mut ticket = Ticket::default();
        let waited = std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| (0..50).for_each(|_| drop(budget.hold(400))));
            }
            budget.poll_ease(&mut ticket, &mut Context::from_waker(&waker)).is_pending()
        });
        assert_eq!((budget.used(), budget.is_short()), (0, false));
        assert!(!waited || woken.load(Ordering::SeqCst) == 1);
        budget.stop_waiting(&mut ticket);
    }
}
