//! Runs the rounds, two processes a measurement, and prints the table.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

use crate::{Result, disk};

const SIZES: [(usize, &str); 4] = [(64, "64 B"), (1024, "1 KiB"), (65536, "64 KiB"), (1 << 20, "1 MiB")];

struct Options {
    rounds: usize,
    secs: f64,
}

/// One measured quantity over the rounds.
#[derive(Default)]
struct Row {
    name: String,
    unit: &'static str,
    ours: Vec<f64>,
    yardstick: Vec<f64>,
    yardstick_name: &'static str,
    floor: &'static str,
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
    rows.push(Row { name: "connections, authenticated".into(), unit: "/s", yardstick_name: "raw TCP, no handshake", ..Row::default() });
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
    for round in 0..options.rounds {
        eprintln!("round {} of {}", round + 1, options.rounds);
        measure(&options, &mut rows)?;
    }
    print_table(&rows);
    Ok(())
}

fn measure(options: &Options, rows: &mut [Row]) -> Result<()> {
    for (i, (size, _)) in SIZES.into_iter().enumerate() {
        let (raw, raw_memory) = figures(options, "raw", "throughput", size)?;
        let (ours, our_memory) = figures(options, "vixp2p", "throughput", size)?;
        rows[i].yardstick.push(raw[0]);
        rows[i].ours.push(ours[0]);
        if size == 65536 {
            rows[8].yardstick.push(raw_memory);
            rows[8].ours.push(our_memory);
        }
    }
    let (raw, _) = figures(options, "raw", "rtt", 64)?;
    let (ours, _) = figures(options, "vixp2p", "rtt", 64)?;
    for i in 0..2 {
        rows[4 + i].yardstick.push(raw[i]);
        rows[4 + i].ours.push(ours[i]);
    }
    rows[6].yardstick.push(figures(options, "raw", "connect", 64)?.0[0]);
    rows[6].ours.push(figures(options, "vixp2p", "connect", 64)?.0[0]);
    rows[7].yardstick.push(disk::synced_records(&std::env::temp_dir(), 128, 256, options.secs)?);
    rows[7].ours.push(figures(options, "vixp2p", "replicate", 128)?.0[0]);
    Ok(())
}

fn parse(args: &[&str]) -> Result<Options> {
    let mut options = Options { rounds: 5, secs: 0.6 };
    let mut rest = args.iter();
    while let Some(flag) = rest.next() {
        let value = rest.next().ok_or_else(|| format!("{flag} needs a value"))?;
        match *flag {
            "--rounds" => options.rounds = value.parse()?,
            "--secs" => options.secs = value.parse()?,
            other => return Err(format!("unknown option {other}; known: --rounds N, --secs S").into()),
        }
    }
    Ok(options)
}

/// A receiver process; ended, by closing its input, with the value.
struct Receiver {
    child: Child,
    address: String,
    dir: Option<std::path::PathBuf>,
}

impl Receiver {
    fn start(contender: &str, durable: bool) -> Result<Receiver> {
        let dir = durable.then(|| std::env::temp_dir().join(format!("vixp2p-bench-receiver-{}", std::process::id())));
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["serve", contender]).stdin(Stdio::piped()).stdout(Stdio::piped());
        if contender != "raw" {
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
        Ok(Receiver { child, address: address.trim().to_owned(), dir })
    }

    /// Peak resident memory in MiB.
    fn peak_memory(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        line.and_then(|l| l.trim().trim_end_matches(" kB").trim().parse::<f64>().ok()).map_or(f64::NAN, |kib| kib / 1024.0)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        // Its end is what matters, however it comes.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(dir) = &self.dir {
            let _ = std::fs::remove_dir_all(dir);
        }
    }
}

/// Runs one measurement; its figures and the receiver's peak memory.
fn figures(options: &Options, contender: &str, mode: &str, size: usize) -> Result<(Vec<f64>, f64)> {
    let receiver = Receiver::start(contender, mode == "replicate")?;
    let mut driver = Command::new(std::env::current_exe()?)
        .args(["drive", contender, mode, &size.to_string(), &options.secs.to_string(), &receiver.address])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut text = String::new();
    if let Some(mut out) = driver.stdout.take() {
        out.read_to_string(&mut text)?;
    }
    let status = driver.wait()?;
    if !status.success() {
        return Err(format!("{contender} {mode} {size}: {status}").into());
    }
    let figures = text.split_whitespace().map(str::parse).collect::<std::result::Result<Vec<f64>, _>>()?;
    Ok((figures, receiver.peak_memory()))
}

fn print_table(rows: &[Row]) {
    println!("{:<38} {:>12} {:>12} {:<8} {:>7}  {:<10} yardstick", "", "vixp2p", "yardstick", "unit", "ratio", "floor");
    for row in rows {
        println!(
            "{:<38} {:>12} {:>12} {:<8} {:>7.2}  {:<10} {}",
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
