//! `append`: records into the log of a data directory, through the node that runs on it or directly.
//!
//! Prints origin and number of every record once it is durable; what was printed is never lost.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::AsFd;
use std::path::Path;

use bytes::Bytes;
use vixp2p::base::{LogId, LogRange, Passphrase, limits};
use vixp2p::driver::keyfile;
use vixp2p::{Config, Node};

use crate::args::AppendArgs;
use crate::control::client::Batch;
use crate::control::reach::{Hands, reach};
use crate::failure::Failure;
use crate::secrets;

/// Read at once: more than a pipe gives.
const INPUT_BYTES: usize = 256 * 1024;

pub(crate) async fn run(args: AppendArgs) -> Result<(), Failure> {
    let passphrase = secrets::passphrase("--passphrase-file", args.passphrase_file.as_deref())?;
    if let Some(text) = args.text.filter(|text| text != "-") {
        return Target::open(&args.data, passphrase, args.causal).await?.append(vec![Bytes::from(text)]).await;
    }
    let stdin = io::stdin().as_fd().try_clone_to_owned().map_err(Failure::io("reading standard input"))?;
    let (mut input, mut batch, mut line) = (BufReader::with_capacity(INPUT_BYTES, File::from(stdin)), Batch::default(), 0u64);
    if input.fill_buf().map_err(Failure::io("reading standard input"))?.is_empty() {
        return Err(Failure::Runtime("nothing to append: standard input is empty".into()));
    }
    let mut target = Target::open(&args.data, passphrase, args.causal).await?;
    loop {
        let record = match next_line(&mut input, line + 1) {
            Ok(record) => record,
            Err(failure) => {
                // What came before the bad line is as good as ever.
                target.append(batch.take()).await?;
                return Err(failure);
            }
        };
        let Some(record) = record else { break };
        line += 1;
        batch.push(record);
        // What has come is appended before more is waited for.
        if batch.is_full() || !input.buffer().contains(&b'\n') {
            target.append(batch.take()).await?;
        }
    }
    target.append(batch.take()).await
}

/// One line without its line feed; the last one counts even without. `None` at the end of the input.
fn next_line(input: &mut impl BufRead, number: u64) -> Result<Option<Bytes>, Failure> {
    let max = limits::RECORD_PAYLOAD_MAX_BYTES;
    let mut line = Vec::new();
    let read = input.take(max as u64 + 1).read_until(b'\n', &mut line).map_err(Failure::io("reading standard input"))?;
    if read == 0 {
        return Ok(None);
    }
    if line.ends_with(b"\n") {
        line.pop();
    }
    if line.len() > max {
        return Err(Failure::Runtime(format!(
            "line {number} has more than {max} bytes, the limit of a record; it and what follows are not appended"
        )));
    }
    Ok(Some(line.into()))
}

/// Who takes the records.
struct Target(Hands<Box<Node>>);

impl Target {
    async fn open(dir: &Path, key_passphrase: Option<Passphrase>, causal: bool) -> Result<Target, Failure> {
        let mut is_known = true;
        let hands = reach(dir, || {
            is_known = keyfile::public_key(dir).is_ok();
            let config = Config { data_dir: Some(dir.to_owned()), key_passphrase: key_passphrase.clone(), causal, ..Config::new("append") };
            Node::open(config).map(Box::new)
        });
        let hands = hands.await?;
        if let Hands::Own(node) = &hands {
            while let Some(event) = node.try_next_event() {
                notice(&event.to_string());
            }
            if !is_known {
                notice(&format!("new identity {} in {}", node.id(), dir.display()));
            }
        }
        Ok(Target(hands))
    }

    /// Appends and prints what has become durable.
    async fn append(&mut self, records: Vec<Bytes>) -> Result<(), Failure> {
        if records.is_empty() {
            return Ok(());
        }
        let (log, first, last): (LogId, u64, u64) = match &mut self.0 {
            Hands::Running(client) => client.append(records).await?,
            Hands::Own(node) => {
                let LogRange { log, first, last } = node.append_records(records).await?;
                (log, first, last)
            }
        };
        let mut out = io::stdout().lock();
        let said = (first..=last).try_for_each(|seq| writeln!(out, "{} {seq}", log.origin)).and_then(|()| out.flush());
        Failure::or_unheard(said.map_err(Failure::stdout))
    }
}

fn notice(text: &str) {
    // A notice nobody can read is no reason to stop.
    let _ = writeln!(io::stderr(), "vixp2p: {text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(mut input: &[u8]) -> Vec<Bytes> {
        let mut lines = Vec::new();
        while let Some(line) = next_line(&mut input, 1).expect("short lines") {
            lines.push(line);
        }
        lines
    }

    #[test]
    fn an_unterminated_last_line_is_a_record_and_an_empty_line_too() {
        assert_eq!(lines(b"a\n\nb"), ["a", "", "b"]);
        assert_eq!(lines(b"a\r\n"), ["a\r"]);
        assert!(lines(b"").is_empty());
    }

    #[test]
    fn a_line_may_be_as_long_as_a_record_and_no_longer() {
        let max = limits::RECORD_PAYLOAD_MAX_BYTES;
        let mut longest = vec![b'x'; max];
        longest.push(b'\n');
        assert_eq!(lines(&longest)[0].len(), max);
        longest.insert(0, b'x');
        assert!(next_line(&mut &longest[..], 7).is_err_and(|failure| failure.text().is_some_and(|text| text.contains("line 7"))));
    }
}
