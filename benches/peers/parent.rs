//! Runs the rounds, two processes a measurement, and prints the table.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::{Result, backlog, disk};

const SIZES: [(usize, &str); 4] = [(64, "64 B"), (1024, "1 KiB"), (65536, "64 KiB"), (1 << 20, "1 MiB")];

/// Threads that append to one log at once.
const WRITERS: [(usize, &str, &str); 2] = [
    (1, "durable appends, 1 KiB, one writer", "preallocated file"),
    (64, "durable appends, 1 KiB, 64 writers", "preallocated log, one thread"),
];

/// Which of our contenders each rival's connections are set beside, the one with the matching key agreement, and the goal.
/// (`ours` has one more contender for each key agreement it can be told to use.)
const RIVALS: [(&str, &str, &str); 3] =
    [("rustls-x25519", "vixp2p-x25519", ">= 1.00"), ("rustls-x25519mlkem768", "vixp2p", ">= 1.00"), ("libp2p", "vixp2p-x25519", ">= 1.00")];

/// The stores that durable appends are set beside.
const STORES: [(&str, &str); 3] = [("sqlite", "SQLite, WAL, synchronous=FULL"), ("redb", "redb"), ("fjall", "fjall, SyncData")];

/// Drivers, each a process, that connect to one receiver at the same time: one shows the latency of a connection, several show how
/// many a second there can be. Only the second is held to a floor: the first is mostly sleeping processors that are woken.
const DRIVERS: [(usize, &str); 2] = [(1, "one by one"), (4, "four at once")];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Only {
    Connects,
    Appends,
    Backlog,
}

/// What is measured, and for how long.
pub(crate) struct Options {
    rounds: usize,
    pub(crate) secs: f64,
    /// Bytes of the backlog.
    pub(crate) backlog: usize,
    /// Only these rows, if not all.
    only: Option<Only>,
    /// The program of `benches/rivals`, if it could be built.
    rivals: Option<PathBuf>,
}

/// One measured quantity over the rounds.
#[derive(Clone, Default)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) unit: &'static str,
    pub(crate) ours: Vec<f64>,
    pub(crate) yardstick: Vec<f64>,
    pub(crate) yardstick_name: &'static str,
    pub(crate) floor: &'static str,
}

impl Row {
    fn ratio(&self) -> f64 {
        median(&self.ours.iter().zip(&self.yardstick).map(|(a, b)| a / b).collect::<Vec<_>>())
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

pub(crate) fn run(args: &[&str]) -> Result<()> {
    let options = parse(args)?;
    println!("congestion control: {}", std::fs::read_to_string("/proc/sys/net/ipv4/tcp_congestion_control").unwrap_or_default().trim());
    println!("{} rounds of {} s, medians; ratios within a round", options.rounds, options.secs);
    let mut rows = Vec::new();
    for (size, name) in SIZES {
        let floor = match size {
            64 => ">= 0.40",
            65536 => ">= 0.55",
            _ => ">= 0.35",
        };
        rows.push(Row { name: format!("throughput {name}"), unit: "msg/s", yardstick_name: "raw TCP", floor, ..Row::default() });
    }
    rows.push(Row { name: "round trip 64 B p50".into(), unit: "us", yardstick_name: "raw TCP", floor: "<= 1.10", ..Row::default() });
    rows.push(Row { name: "round trip 64 B p99".into(), unit: "us", yardstick_name: "raw TCP", ..Row::default() });
    rows.push(Row {
        name: "records replicated, durable, applied".into(),
        unit: "128 B/s",
        yardstick_name: "disk, 256 per fdatasync",
        ..Row::default()
    });
    rows.push(Row {
        name: "receiver peak memory at 64 KiB".into(),
        unit: "MiB",
        yardstick_name: "raw TCP",
        floor: "<= 10 MiB",
        ..Row::default()
    });
    for (_, name, yardstick_name) in WRITERS {
        rows.push(Row { name: name.into(), unit: "/s", yardstick_name, floor: ">= 0.8", ..Row::default() });
        for (_, yardstick_name) in STORES.into_iter().filter(|_| options.rivals.is_some()) {
            rows.push(Row {
                name: format!("  {name}").replace("durable appends, ", ""),
                unit: "/s",
                yardstick_name,
                floor: ">= 1.00",
                ..Row::default()
            });
        }
    }
    let (mut connects, mut backlog) = (connect_rows(&options), backlog::rows());
    for round in 0..options.rounds {
        eprintln!("round {} of {}", round + 1, options.rounds);
        if options.only.is_none() {
            measure(&options, &mut rows)?;
        }
        let is_wanted = |what| options.only.is_none_or(|only| only == what);
        if is_wanted(Only::Appends) {
            measure_appends(&options, &mut rows)?;
        }
        if is_wanted(Only::Connects) {
            measure_connects(&options, &mut connects)?;
        }
        if is_wanted(Only::Backlog) {
            backlog::measure(&options, &mut backlog)?;
        }
    }
    rows.retain(|row| !row.ours.is_empty());
    connects.retain(|row| !row.ours.is_empty());
    rows.splice(rows.len().min(6)..rows.len().min(6), connects);
    rows.extend(backlog.into_iter().filter(|row| !row.ours.is_empty()));
    print_table(&rows);
    Ok(())
}

/// Ours beside a bare TCP connection, then beside every rival; each with the processor time all processes took. First for one driver,
/// then for several.
fn connect_rows(options: &Options) -> Vec<Row> {
    let mut rows = Vec::new();
    for (drivers, when) in DRIVERS {
        let mut beside = |what: &str, yardstick_name, floor| {
            let floor = if drivers > 1 { floor } else { "" };
            rows.push(Row { name: format!("connections {when}, {what}"), unit: "/s", yardstick_name, floor, ..Row::default() });
            rows.push(Row { name: "  processor time of both sides".into(), unit: "us each", yardstick_name, ..Row::default() });
        };
        beside("vixp2p", "raw TCP, no handshake", "");
        if options.rivals.is_some() {
            RIVALS.iter().for_each(|(rival, ours, floor)| beside(ours, rival, floor));
        }
    }
    rows
}

fn measure_connects(options: &Options, rows: &mut [Row]) -> Result<()> {
    let mut all = vec![("raw", "vixp2p")];
    if options.rivals.is_some() {
        all.extend(RIVALS.iter().map(|(rival, ours, _)| (*rival, *ours)));
    }
    for (rows, (drivers, _)) in rows.chunks_mut(2 * all.len()).zip(DRIVERS) {
        // Each is run once a round, however many rows it stands in.
        let mut seen = std::collections::BTreeMap::new();
        for name in all.iter().flat_map(|(rival, ours)| [*rival, *ours]) {
            if !seen.contains_key(name) {
                let measured = figures(options, name, "connect", 64, drivers)?;
                let rate = measured.values[0];
                seen.insert(name, (rate, measured.processor_secs * 1e6 / (rate * options.secs)));
            }
        }
        for ((rival, ours), rows) in all.iter().zip(rows.chunks_mut(2)) {
            let ((their_rate, their_cpu), (our_rate, our_cpu)) = (seen[rival], seen[ours]);
            rows[0].yardstick.push(their_rate);
            rows[0].ours.push(our_rate);
            rows[1].yardstick.push(their_cpu);
            rows[1].ours.push(our_cpu);
        }
    }
    Ok(())
}

fn measure(options: &Options, rows: &mut [Row]) -> Result<()> {
    for (i, (size, _)) in SIZES.into_iter().enumerate() {
        let raw = figures(options, "raw", "throughput", size, 1)?;
        let ours = figures(options, "vixp2p", "throughput", size, 1)?;
        rows[i].yardstick.push(raw.values[0]);
        rows[i].ours.push(ours.values[0]);
        if size == 65536 {
            rows[7].yardstick.push(raw.peak_memory);
            rows[7].ours.push(ours.peak_memory);
        }
    }
    let raw = figures(options, "raw", "rtt", 64, 1)?;
    let ours = figures(options, "vixp2p", "rtt", 64, 1)?;
    for i in 0..2 {
        rows[4 + i].yardstick.push(raw.values[i]);
        rows[4 + i].ours.push(ours.values[i]);
    }
    rows[6].yardstick.push(disk::synced_records(&std::env::temp_dir(), 128, 256, options.secs)?);
    rows[6].ours.push(figures(options, "vixp2p", "replicate", 128, 1)?.values[0]);
    Ok(())
}

fn measure_appends(options: &Options, rows: &mut [Row]) -> Result<()> {
    let dir = std::env::temp_dir();
    let mut rows = rows.iter_mut().skip(8);
    for (writers, ..) in WRITERS {
        let ours = disk::appends(&dir, 1024, writers, options.secs)?;
        let mut beside = |yardstick| {
            if let Some(row) = rows.next() {
                row.yardstick.push(yardstick);
                row.ours.push(ours);
            }
        };
        beside(match writers {
            1 => disk::synced_records(&dir, 1024, 1, options.secs)?,
            _ => disk::plain_log(&dir, 1024, writers, options.secs)?,
        });
        if let Some(rivals) = &options.rivals {
            for (store, _) in STORES {
                beside(store_appends(rivals, store, writers, options.secs)?);
            }
        }
    }
    Ok(())
}

/// Records of 1 KiB per second that so many threads make durable in one of the rivals' stores.
fn store_appends(rivals: &Path, store: &str, writers: usize, secs: f64) -> Result<f64> {
    let dir = std::env::temp_dir().join(format!("vixp2p-bench-store-{}", std::process::id()));
    std::fs::create_dir_all(&dir)?;
    let output = Command::new(rivals)
        .args(["append", store, &writers.to_string(), "1024", &secs.to_string()])
        .arg(&dir)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output();
    std::fs::remove_dir_all(&dir)?;
    let output = output?;
    if !output.status.success() {
        return Err(format!("{store} could not be measured").into());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().parse()?)
}

fn parse(args: &[&str]) -> Result<Options> {
    let mut options = Options { rounds: 5, secs: 0.6, backlog: 1 << 30, only: None, rivals: None };
    let mut rest = args.iter();
    while let Some(flag) = rest.next() {
        options.only = match *flag {
            "--connects" => Some(Only::Connects),
            "--appends" => Some(Only::Appends),
            "--backlog" => Some(Only::Backlog),
            _ => options.only,
        };
        if ["--connects", "--appends", "--backlog"].contains(flag) {
            continue;
        }
        let value = rest.next().ok_or_else(|| format!("{flag} needs a value"))?;
        match *flag {
            "--rounds" => options.rounds = value.parse()?,
            "--secs" => options.secs = value.parse()?,
            "--rivals" => options.rivals = Some(value.into()),
            "--backlog-mib" => options.backlog = value.parse::<usize>()? << 20,
            other => {
                let known = "--rounds N, --secs S, --connects, --appends, --backlog, --backlog-mib N, --rivals PROGRAM";
                return Err(format!("unknown option {other}; known: {known}").into());
            }
        }
    }
    Ok(options)
}

/// A receiving process; ended, by closing its input, with the value.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: String,
    dir: Option<std::path::PathBuf>,
}

impl Server {
    pub(crate) fn start(program: &Path, contender: &str, durable: bool) -> Result<Server> {
        let dir = durable.then(|| std::env::temp_dir().join(format!("vixp2p-bench-receiver-{}", std::process::id())));
        let mut command = Command::new(program);
        command.args(["serve", contender]).stdin(Stdio::piped()).stdout(Stdio::piped());
        if contender.starts_with("vixp2p") {
            command.arg(dir.as_ref().map_or("-".into(), |d| d.display().to_string()));
        }
        let mut child = command.spawn()?;
        let mut address = String::new();
        if let Some(out) = child.stdout.take() {
            BufReader::new(out).read_line(&mut address)?;
        }
        if address.trim().is_empty() {
            return Err("the receiver did not start".into());
        }
        Ok(Server { child, address: address.trim().to_owned(), dir })
    }

    /// The process.
    pub(crate) fn id(&self) -> String {
        self.child.id().to_string()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Its end is what matters, however it comes.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(dir) = &self.dir {
            let _ = std::fs::remove_dir_all(dir);
        }
    }
}

/// Processor seconds, user and system, that a process has taken, or, with `children`, those of its that have ended. Counted by
/// the kernel in hundredths.
fn processor_secs(process: &str, children: bool) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // Behind the name, which may hold anything: utime, stime, cutime, cstime are fields 14 to 17 of proc(5).
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11);
    fields.skip(if children { 2 } else { 0 }).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

/// What one measurement gave.
struct Measured {
    values: Vec<f64>,
    /// The receiver's, in MiB.
    peak_memory: f64,
    /// Of both processes.
    processor_secs: f64,
}

/// Runs one measurement with so many drivers; what they print is added up.
fn figures(options: &Options, contender: &str, mode: &str, size: usize, drivers: usize) -> Result<Measured> {
    let program = match &options.rivals {
        Some(rivals) if RIVALS.iter().any(|(rival, ..)| *rival == contender) => rivals.clone(),
        _ => std::env::current_exe()?,
    };
    let receiver = Server::start(&program, contender, mode == "replicate")?;
    let receiver_id = receiver.id();
    let taken = || processor_secs("self", true) + processor_secs(&receiver_id, false);
    let before = taken();
    let drive = || {
        Command::new(&program)
            .args(["drive", contender, mode, &size.to_string(), &options.secs.to_string(), &receiver.address])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
    };
    let mut values = Vec::new();
    for driver in (0..drivers).map(|_| drive()).collect::<Vec<_>>() {
        let output = driver?.wait_with_output()?;
        if !output.status.success() {
            return Err(format!("{contender} {mode} {size}: {}", output.status).into());
        }
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let theirs = text.split_whitespace().map(str::parse).collect::<std::result::Result<Vec<f64>, _>>()?;
        values.resize(theirs.len(), 0.0);
        values.iter_mut().zip(theirs).for_each(|(sum, value)| *sum += value);
    }
    Ok(Measured { values, peak_memory: backlog::peak_memory(&receiver_id), processor_secs: taken() - before })
}

fn print_table(rows: &[Row]) {
    println!("{:<42} {:>12} {:>12} {:<8} {:>7}  {:<10} yardstick", "", "vixp2p", "yardstick", "unit", "ratio", "floor");
    for row in rows {
        println!(
            "{:<42} {:>12} {:>12} {:<8} {:>7.2}  {:<10} {}",
            row.name,
            short(median(&row.ours)),
            short(median(&row.yardstick)),
            row.unit,
            row.ratio(),
            row.floor,
            row.yardstick_name
        );
    }
}

fn short(value: f64) -> String {
    if value >= 1e6 {
        format!("{:.2} M", value / 1e6)
    } else if value >= 1e4 {
        format!("{:.1} k", value / 1e3)
    } else {
        format!("{value:.1}")
    }
}
