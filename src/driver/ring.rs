//! The event ring: what waits for the application, bounded, readable from async code, a blocking thread or a file descriptor.
//!
//! Data is never dropped: links stop reading while the ring is full of it. Nor is the end of a message over a route: while many are not
//! taken no new one is accepted. Informational events give way, oldest first, and are counted.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use tokio::sync::Notify;

use crate::base::{DataBatch, Event, limits};
use crate::driver::apply::ApplyRequest;

/// One thing for the application to take.
#[derive(Debug)]
pub enum Item {
    /// Something to know.
    Event(Event),
    /// Records to apply, when applying happens on the thread that reads the ring.
    Apply(ApplyRequest),
}

/// Told under the ring's lock whenever it becomes readable (`true`) or empty (`false`). Must not block or call back.
pub type Signal = Box<dyn Fn(bool) + Send + Sync>;

#[derive(Default)]
struct Inner {
    items: VecDeque<Item>,
    data_bytes: usize,
    /// Ends of messages over routes.
    ends: usize,
    lost: u64,
    closed: bool,
    signal: Option<Signal>,
}

/// See the module.
#[derive(Default)]
pub struct EventRing {
    inner: Mutex<Inner>,
    filled: Condvar,
    readable: Notify,
    room: Notify,
}

impl EventRing {
    /// Adds an item. Called with the node's lock held: never waits.
    pub fn push(&self, item: Item) {
        let mut inner = self.inner.lock();
        if inner.closed {
            return;
        }
        if let Item::Event(Event::Data { batch, .. }) = &item {
            inner.data_bytes += cost(batch);
        } else if is_end(&item) {
            inner.ends += 1;
        } else if inner.items.len() >= limits::EVENT_RING_MAX {
            if matches!(&item, Item::Event(event) if event.on_request()) {
                // What a peer may cause at will takes nobody else's place.
                inner.lost += 1;
                return;
            }
            inner.drop_oldest_informational();
        }
        let was_empty = inner.items.is_empty();
        inner.items.push_back(item);
        if was_empty {
            inner.tell(true);
            drop(inner);
            self.filled.notify_one();
            self.readable.notify_one();
        }
    }

    /// Takes the next item, if there is one.
    pub fn try_pop(&self) -> Option<Item> {
        let mut inner = self.inner.lock();
        let item = inner.pop();
        let wake = !inner.items.is_empty();
        let room = inner.data_bytes < limits::EVENT_RING_DATA_MAX_BYTES;
        drop(inner);
        if wake {
            // Another waiter may have been promised this one's wake-up.
            self.readable.notify_one();
            self.filled.notify_one();
        }
        if room && matches!(item, Some(Item::Event(Event::Data { .. }))) {
            self.room.notify_waiters();
        }
        item
    }

    /// Waits for the next item; `None` once the ring is closed and empty.
    pub async fn pop(&self) -> Option<Item> {
        loop {
            let filled = self.readable.notified();
            if let Some(item) = self.try_pop() {
                return Some(item);
            }
            if self.inner.lock().closed {
                return None;
            }
            filled.await;
        }
    }

    /// Blocks for the next item; `None` after `timeout` or once the ring is closed and empty.
    pub fn pop_blocking(&self, timeout: Duration) -> Option<Item> {
        #[expect(clippy::disallowed_methods, reason = "the driver is where clocks are read")]
        let deadline = Instant::now().checked_add(timeout);
        loop {
            if let Some(item) = self.try_pop() {
                return Some(item);
            }
            let mut inner = self.inner.lock();
            if !inner.items.is_empty() {
                continue;
            }
            if inner.closed {
                return None;
            }
            match deadline {
                Some(at) if self.filled.wait_until(&mut inner, at).timed_out() => return None,
                Some(_) => {}
                None => self.filled.wait(&mut inner),
            }
        }
    }

    /// Whether so few ends of messages wait that another message may be begun.
    pub fn has_room_for_ends(&self) -> bool {
        self.inner.lock().ends < limits::POSTS_MAX
    }

    /// Whether data may be added.
    pub fn has_data_room(&self) -> bool {
        !self.is_full_of_data()
    }

    /// Waits until data may be added.
    pub async fn data_room(&self) {
        loop {
            let room = self.room.notified();
            if !self.is_full_of_data() {
                return;
            }
            room.await;
        }
    }

    fn is_full_of_data(&self) -> bool {
        let inner = self.inner.lock();
        inner.data_bytes >= limits::EVENT_RING_DATA_MAX_BYTES && !inner.closed
    }

    /// Installs what is told about readiness, and tells it the present state.
    pub fn set_signal(&self, signal: Signal) {
        let mut inner = self.inner.lock();
        inner.signal = Some(signal);
        let readable = !inner.items.is_empty();
        inner.tell(readable);
    }

    /// No item is added from now on; what is there can still be taken.
    pub fn close(&self) {
        self.inner.lock().closed = true;
        self.filled.notify_all();
        self.readable.notify_waiters();
        self.readable.notify_one();
        self.room.notify_waiters();
    }

    /// Opens a closed ring again (a node that is started after a stop). Requests of the last run are void: what is not applied is
    /// asked for anew.
    pub fn reopen(&self) {
        let mut inner = self.inner.lock();
        inner.closed = false;
        inner.items.retain(|item| !matches!(item, Item::Apply(_)));
        if inner.items.is_empty() {
            inner.tell(false);
        }
    }
}

/// The one word on what became of a message over a route.
fn is_end(item: &Item) -> bool {
    matches!(item, Item::Event(Event::Delivered { .. } | Event::Undelivered { .. }))
}

/// What a batch costs of the ring: its bytes, and what keeping it costs besides, so that a flood of tiny ones is bounded too.
fn cost(batch: &DataBatch) -> usize {
    batch.bytes() + limits::EVENT_DATA_OVERHEAD_BYTES
}

impl Inner {
    fn pop(&mut self) -> Option<Item> {
        if self.lost > 0 {
            let count = std::mem::take(&mut self.lost);
            return Some(Item::Event(Event::Lost { count }));
        }
        if self.items.len() == 1 {
            self.tell(false);
        }
        let item = self.items.pop_front();
        if let Some(Item::Event(Event::Data { batch, .. })) = &item {
            self.data_bytes -= cost(batch);
        }
        if item.as_ref().is_some_and(is_end) {
            self.ends -= 1;
        }
        if self.items.is_empty() {
            self.items.shrink_to(limits::EVENT_RING_KEPT);
        }
        item
    }

    fn drop_oldest_informational(&mut self) {
        let informational =
            |item: &Item| !is_end(item) && !matches!(item, Item::Apply(_) | Item::Event(Event::Data { .. } | Event::Fatal { .. }));
        if let Some(at) = self.items.iter().position(informational) {
            self.items.remove(at);
            self.lost += 1;
        }
    }

    fn tell(&self, readable: bool) {
        if let Some(signal) = &self.signal {
            signal(readable);
        }
    }
}

impl std::fmt::Debug for EventRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "EventRing({} items)", self.inner.lock().items.len())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::base::PeerId;

    fn stored(durable: u64) -> Item {
        let log = crate::base::LogId { origin: PeerId([0; 32]), incarnation: crate::base::Incarnation(1) };
        Item::Event(Event::Stored { log, durable })
    }

    fn data() -> Item {
        Item::Event(Event::Data { peer: PeerId([0; 32]), batch: DataBatch::new(vec![1, 32].into(), 1) })
    }

    #[test]
    fn a_full_ring_drops_and_counts_information_but_never_data() {
        let ring = EventRing::default();
        (0..10).for_each(|_| ring.push(data()));
        (0..limits::EVENT_RING_MAX as u64 + 5).for_each(|n| ring.push(stored(n)));
        let (mut datas, mut lost, mut infos) = (0, 0, 0);
        while let Some(item) = ring.try_pop() {
            match item {
                Item::Event(Event::Data { .. }) => datas += 1,
                Item::Event(Event::Lost { count }) => lost += count,
                _ => infos += 1,
            }
        }
        assert_eq!(datas, 10);
        assert_eq!(lost + infos, limits::EVENT_RING_MAX as u64 + 5);
        assert!(lost >= 5);
    }

    #[test]
    fn a_full_ring_keeps_the_ends_of_messages_and_no_more_are_begun_until_they_are_taken() {
        let ring = EventRing::default();
        let peer = PeerId([0; 32]);
        (0..limits::POSTS_MAX as u64).for_each(|message| {
            assert!(ring.has_room_for_ends());
            ring.push(Item::Event(Event::Delivered { peer, message }));
        });
        assert!(!ring.has_room_for_ends());
        (0..limits::EVENT_RING_MAX as u64 + 5).for_each(|n| ring.push(stored(n)));
        let mut ends = 0;
        while let Some(item) = ring.try_pop() {
            ends += usize::from(is_end(&item));
        }
        assert_eq!(ends, limits::POSTS_MAX);
        assert!(ring.has_room_for_ends());
    }

    #[test]
    fn what_a_burst_took_is_given_back_when_it_has_been_read() {
        let ring = EventRing::default();
        (0..10 * limits::EVENT_RING_KEPT as u64).for_each(|n| ring.push(stored(n)));
        while ring.try_pop().is_some() {}
        let kept = ring.inner.lock().items.capacity();
        assert!(kept < 2 * limits::EVENT_RING_KEPT, "room for {kept} is kept");
    }

    #[test]
    fn a_flood_of_tiny_batches_fills_the_ring() {
        let ring = EventRing::default();
        let fit = limits::EVENT_RING_DATA_MAX_BYTES / (2 + limits::EVENT_DATA_OVERHEAD_BYTES);
        (0..=fit).for_each(|_| ring.push(data()));
        assert!(ring.is_full_of_data());
        while ring.try_pop().is_some() {}
        assert_eq!(ring.inner.lock().data_bytes, 0);
    }

    #[test]
    fn requests_of_the_last_run_are_gone_when_the_ring_opens_again() {
        let ring = EventRing::default();
        let log = crate::base::LogId { origin: PeerId([0; 32]), incarnation: crate::base::Incarnation(1) };
        ring.push(Item::Apply(ApplyRequest { log, from: 1, upto: 9 }));
        ring.push(stored(1));
        ring.close();
        ring.reopen();
        assert!(matches!(ring.try_pop(), Some(Item::Event(Event::Stored { .. }))) && ring.try_pop().is_none());
    }

    #[test]
    fn two_blocked_readers_both_wake_for_two_items() {
        let ring = Arc::new(EventRing::default());
        let reader = |ring: Arc<EventRing>| std::thread::spawn(move || ring.pop_blocking(Duration::from_secs(60)).is_some());
        let readers = [reader(ring.clone()), reader(ring.clone())];
        ring.push(stored(1));
        ring.push(stored(2));
        assert!(readers.into_iter().all(|reader| reader.join().expect("reader ends")));
    }

    #[test]
    fn the_signal_follows_readiness() {
        let ring = EventRing::default();
        let state = Arc::new(AtomicBool::new(true));
        let seen = state.clone();
        ring.set_signal(Box::new(move |readable| seen.store(readable, Ordering::Relaxed)));
        assert!(!state.load(Ordering::Relaxed));
        ring.push(stored(1));
        ring.push(stored(2));
        assert!(state.load(Ordering::Relaxed));
        ring.try_pop();
        assert!(state.load(Ordering::Relaxed));
        ring.try_pop();
        assert!(!state.load(Ordering::Relaxed));
    }

    #[test]
    fn a_blocked_reader_wakes_for_an_item_and_for_the_end() {
        let ring = Arc::new(EventRing::default());
        let reader = {
            let ring = ring.clone();
            std::thread::spawn(move || {
                let first = ring.pop_blocking(Duration::from_secs(60)).is_some();
                let second = ring.pop_blocking(Duration::from_secs(60)).is_none();
                (first, second)
            })
        };
        ring.push(stored(1));
        ring.close();
        assert_eq!(reader.join().expect("reader ends"), (true, true));
    }
}
