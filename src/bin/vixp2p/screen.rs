//! What a running node shows: counters on stdout, log lines on stderr. One thread writes both.
//!
//! Never blocks the caller: a reader that does not read costs log lines (counted, and said later), not the node's time.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, SystemTime};

use parking_lot::{Condvar, Mutex};
use vixp2p::Stats;
use vixp2p::base::Level;

/// Log lines that may wait for the terminal.
const WAITING_MAX: usize = 4096;
/// How long the last lines may take when the node has stopped.
const FINISH_GRACE: Duration = Duration::from_millis(300);
/// Back to the first column, erase the line, and no wrapping: a narrow terminal shows the beginning.
const LIVE_BEGIN: &str = "\r\x1b[K\x1b[?7l";
const LIVE_END: &str = "\x1b[?7h";
const ERASE: &str = "\r\x1b[K";

enum Show {
    Log(String),
    Said(String),
    Stats(String),
    Final(String),
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Show>,
    dropped: u64,
    ending: bool,
    ended: bool,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    filled: Condvar,
    ended: Condvar,
}

/// The node's output. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Screen {
    shared: Arc<Shared>,
    least: Arc<AtomicU8>,
}

impl Screen {
    /// Starts the writing thread; `live` keeps the counters on one line that is written over.
    pub(crate) fn start(live: bool, least: Level) -> io::Result<Screen> {
        let shared = Arc::new(Shared::default());
        let theirs = shared.clone();
        std::thread::Builder::new().name("vixp2p-screen".into()).spawn(move || write_all(&theirs, live))?;
        Ok(Screen { shared, least: Arc::new(AtomicU8::new(least as u8)) })
    }

    /// Changes which log lines are wanted; the level before.
    pub(crate) fn set_level(&self, least: Level) -> Level {
        Level::from_number(self.least.swap(least as u8, Ordering::Relaxed)).unwrap_or(Level::Off)
    }

    /// A log line, if its level is wanted.
    pub(crate) fn log(&self, level: Level, text: &str) {
        if (level as u8) < self.least.load(Ordering::Relaxed) {
            return;
        }
        let mut queue = self.shared.queue.lock();
        if queue.waiting.len() >= WAITING_MAX {
            queue.dropped += 1;
            return;
        }
        let dropped = std::mem::take(&mut queue.dropped);
        if dropped > 0 {
            queue.waiting.push_back(Show::Log(format!("{} warn {dropped} log lines dropped, stderr is read too slowly", timestamp())));
        }
        queue.waiting.push_back(Show::Log(format!("{} {level} {text}", timestamp())));
        self.shared.filled.notify_one();
    }

    /// A line for a person, on stdout. One that nobody reads is dropped like a log line.
    pub(crate) fn say(&self, line: String) {
        let mut queue = self.shared.queue.lock();
        if queue.waiting.len() < WAITING_MAX {
            queue.waiting.push_back(Show::Said(line));
            self.shared.filled.notify_one();
        }
    }

    /// The counters now.
    pub(crate) fn stats(&self, stats: &Stats) {
        let mut queue = self.shared.queue.lock();
        // Counters nobody reads are not worth a place; the final ones always get theirs.
        if queue.waiting.len() < WAITING_MAX {
            queue.waiting.push_back(Show::Stats(stats_line(stats)));
            self.shared.filled.notify_one();
        }
    }

    /// The counters at the end; returns when everything is written, or cannot be in time.
    pub(crate) fn finish(&self, last: Option<&Stats>) {
        let mut queue = self.shared.queue.lock();
        if let Some(stats) = last {
            queue.waiting.push_back(Show::Final(stats_line(stats)));
        }
        queue.ending = true;
        self.shared.filled.notify_one();
        if !queue.ended {
            let _ = self.shared.ended.wait_for(&mut queue, FINISH_GRACE);
        }
    }
}

fn stats_line(stats: &Stats) -> String {
    format!("[vix p2p] {stats}")
}

fn write_all(shared: &Shared, live: bool) {
    let mut writer = Writer { live, shown: None, stdout_lost: false };
    loop {
        let mut queue = shared.queue.lock();
        while queue.waiting.is_empty() && !queue.ending {
            shared.filled.wait(&mut queue);
        }
        let Some(show) = queue.waiting.pop_front() else {
            queue.ended = true;
            shared.ended.notify_all();
            return;
        };
        drop(queue);
        writer.show(show);
    }
}

struct Writer {
    live: bool,
    /// The live line on the terminal now.
    shown: Option<String>,
    stdout_lost: bool,
}

impl Writer {
    fn show(&mut self, show: Show) {
        match show {
            Show::Log(line) => {
                if self.shown.is_some() {
                    self.out(ERASE);
                }
                err(&line);
                if let Some(shown) = self.shown.clone() {
                    self.out(&format!("{LIVE_BEGIN}{shown}{LIVE_END}"));
                }
            }
            Show::Stats(line) if self.live => {
                self.out(&format!("{LIVE_BEGIN}{line}{LIVE_END}"));
                self.shown = Some(line);
            }
            Show::Said(line) => self.out(&format!("{line}\n")),
            Show::Stats(line) => self.out(&format!("{line}\n")),
            Show::Final(line) if self.live => self.out(&format!("{ERASE}{}{line}\n", block(&line))),
            Show::Final(line) => self.out(&format!("{line}\n")),
        }
    }

    /// Writes to stdout. A closed stdout is said once; the node goes on, as its peers do not care who watches.
    fn out(&mut self, text: &str) {
        let mut stdout = io::stdout().lock();
        let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
        if let Err(error) = written
            && !std::mem::replace(&mut self.stdout_lost, true)
        {
            err(&format!("{} warn stdout cannot be written, counters are no longer shown: {error}", timestamp()));
        }
    }
}

/// The final counters one below the other, for people.
fn block(line: &str) -> String {
    let counters = line.split(' ').filter_map(|word| word.split_once('='));
    counters.fold("final counters\n".to_owned(), |block, (name, value)| block + &format!("  {name:<22} {value}\n"))
}

fn err(line: &str) {
    // With stderr gone there is nowhere left to complain.
    let _ = io::stderr().write_all(format!("{line}\n").as_bytes());
}

#[expect(clippy::disallowed_methods, reason = "log lines carry the wall clock")]
fn timestamp() -> String {
    format_time(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
}

/// UTC in the form of RFC 3339, milliseconds.
fn format_time(since_1970: Duration) -> String {
    let seconds = since_1970.as_secs();
    let (days, of_day) = (seconds / 86_400, seconds % 86_400);
    // Days are counted from 0000-03-01, in eras of 400 years, so that a leap day is the last of its year.
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", since_1970.subsec_millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_calendar_knows_leap_years_and_centuries() {
        let cases = [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400, "2000-02-29T00:00:00.000Z"),
            (951_868_800, "2000-03-01T00:00:00.000Z"),
            (1_735_689_599, "2024-12-31T23:59:59.000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000Z"),
        ];
        for (seconds, text) in cases {
            assert_eq!(format_time(Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn the_final_block_has_every_counter_on_its_line() {
        let text = block(&stats_line(&Stats { peers_total: 3, ..Stats::default() }));
        assert_eq!(text.lines().count(), 10);
        assert!(text.contains("  peers_total            3\n"), "{text}");
    }
}
