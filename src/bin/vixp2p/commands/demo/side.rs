//! One node of the demo: a child process of this program, watched through its control socket. Never looks into its files.

use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};

use bytes::Bytes;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::watch;
use vixp2p::driver::disk::LOCK_FILE;

use super::Voice;
use crate::control::Status;
use crate::control::client::Client;
use crate::failure::Failure;

/// How often a node that somebody else kills is started again.
const REVIVALS_MAX: u32 = 50;

/// What stays the same over a node's lives.
pub(super) struct Setup {
    pub(super) name: &'static str,
    pub(super) dir: PathBuf,
    pub(super) psk: PathBuf,
    /// Whether the node writes what it replicates into a file.
    pub(super) applies: bool,
    pub(super) voice: Voice,
}

impl Setup {
    pub(super) fn applied(&self) -> PathBuf {
        self.dir.join("applied.txt")
    }

    fn say(&self, text: &str) {
        self.voice.say(&format!("{}: {text}", self.name));
    }
}

/// A node and its present process.
pub(super) struct Side {
    pub(super) setup: Setup,
    life: Option<Life>,
    /// The last status of any life.
    last: Option<Status>,
    revivals: u32,
}

/// A running process. Dropping it kills the process.
struct Life {
    child: Child,
    /// The node stops when this ends, so that it never outlives the demo.
    input: ChildStdin,
    status: watch::Receiver<Status>,
    door: Client,
}

impl Side {
    pub(super) fn new(setup: Setup) -> Side {
        Side { setup, life: None, last: None, revivals: 0 }
    }

    /// Waits until no process of an earlier demo, killed perhaps, is left on the directory.
    pub(super) async fn settle(&self) -> Result<(), Failure> {
        let path = self.setup.dir.join(LOCK_FILE);
        let wait = move || match File::options().write(true).open(&path) {
            Ok(file) => file.lock(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        };
        let waited = tokio::task::spawn_blocking(wait).await.map_err(|error| Failure::Runtime(error.to_string()))?;
        waited.map_err(Failure::io(format!("waiting for the directory {}", self.setup.dir.display())))
    }

    /// Starts the process and waits until it serves; again if somebody kills it before that.
    pub(super) async fn start(&mut self, dial: Option<u16>) -> Result<(), Failure> {
        self.life = None;
        loop {
            self.settle().await?;
            match self.launch(dial).await? {
                Ok(life) => {
                    self.setup.say(&format!("process {} serves on port {}", life.child.id().unwrap_or(0), life.status.borrow().port));
                    self.last = Some(life.status.borrow().clone());
                    self.life = Some(life);
                    return Ok(());
                }
                Err(end) => self.count_death(end)?,
            }
        }
    }

    /// A life, or how it ended before it served.
    async fn launch(&self, dial: Option<u16>) -> Result<Result<Life, ExitStatus>, Failure> {
        let mut child = self.command(dial)?.spawn().map_err(Failure::io(format!("starting node {}", self.setup.name)))?;
        let (Some(input), Some(output), Some(errors)) = (child.stdin.take(), child.stdout.take(), child.stderr.take()) else {
            return Err(Failure::Runtime("the child's pipes are missing".into()));
        };
        let (name, voice) = (self.setup.name, self.setup.voice);
        tokio::spawn(async move {
            let mut lines = BufReader::new(errors).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                // The time of day is not needed beside the demo's own.
                voice.say(&format!("{name}: {}", line.split_once(' ').map_or(line.as_str(), |(_, text)| text)));
            }
        });
        // Counters come once the node is started and its control socket is open.
        let mut lines = BufReader::new(output).lines();
        let serves = matches!(lines.next_line().await, Ok(Some(_)));
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        if serves && let Some((door, status)) = self.open_doors().await {
            return Ok(Ok(Life { child, input, status, door }));
        }
        drop(input);
        child.wait().await.map(Err).map_err(Failure::io(format!("waiting for node {}", self.setup.name)))
    }

    fn command(&self, dial: Option<u16>) -> Result<Command, Failure> {
        let program = std::env::current_exe().map_err(Failure::io("finding this program"))?;
        let mut command = Command::new(program);
        command.args(["--id", self.setup.name, "--listen", "127.0.0.1:0", "--stop-on-eof", "--stats-every", "4294967295", "--tui", "off"]);
        command.args(["--discovery", "off"]).arg("--data").arg(&self.setup.dir).arg("--psk-file").arg(&self.setup.psk);
        if self.setup.applies {
            command.arg("--apply-to").arg(self.setup.applied());
        }
        if let Some(port) = dial.filter(|port| *port > 0) {
            command.args(["--connect", &format!("127.0.0.1:{port}")]);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        Ok(command)
    }

    /// One connection for appends, one that tells the status.
    async fn open_doors(&self) -> Option<(Client, watch::Receiver<Status>)> {
        let door = Client::connect(&self.setup.dir).await.ok()??;
        let mut watching = Client::connect(&self.setup.dir).await.ok()??;
        watching.watch().await.ok()?;
        let (tell, status) = watch::channel(watching.status().await?);
        tokio::spawn(async move {
            while let Some(status) = watching.status().await {
                if tell.send(status).is_err() {
                    return;
                }
            }
        });
        Some((door, status))
    }

    /// Starts the process again after somebody else killed it. A node that ended by itself ends the demo.
    pub(super) async fn revive(&mut self, dial: u16) -> Result<(), Failure> {
        let end = self.reap().await?;
        self.count_death(end)?;
        self.start(Some(dial)).await
    }

    fn count_death(&mut self, end: ExitStatus) -> Result<(), Failure> {
        self.revivals += 1;
        if end.signal().is_none() || self.revivals > REVIVALS_MAX {
            return Err(Failure::Runtime(format!("node {} ended by itself ({end}); its last words stand above", self.setup.name)));
        }
        self.setup.say(&format!("was killed from outside ({end}); starting it again"));
        Ok(())
    }

    async fn reap(&mut self) -> Result<ExitStatus, Failure> {
        let Some(mut life) = self.life.take() else { return Err(Failure::Runtime(format!("node {} does not run", self.setup.name))) };
        life.child.wait().await.map_err(Failure::io(format!("waiting for node {}", self.setup.name)))
    }

    /// SIGKILL, and the proof that it worked.
    pub(super) async fn kill(&mut self) -> Result<(), Failure> {
        if let Some(life) = &mut self.life {
            life.child.start_kill().map_err(Failure::io(format!("killing node {}", self.setup.name)))?;
        }
        let end = self.reap().await?;
        self.setup.say(&format!("ended ({end})"));
        Ok(())
    }

    /// Lets the node end in peace.
    pub(super) async fn stop(&mut self) -> Result<(), Failure> {
        let Some(Life { mut child, input, .. }) = self.life.take() else { return Ok(()) };
        drop(input);
        let end = child.wait().await.map_err(Failure::io(format!("waiting for node {}", self.setup.name)))?;
        self.setup.say(&format!("ended ({end})"));
        Ok(())
    }

    /// Appends records; A's count of records follows.
    pub(super) async fn append(&mut self, records: Vec<Bytes>) -> Result<(), Failure> {
        let (Some(life), Some(status)) = (&mut self.life, &mut self.last) else {
            return Err(Failure::Runtime(format!("node {} does not run", self.setup.name)));
        };
        let (_, _, last) = life.door.append(records).await?;
        status.own = last;
        Ok(())
    }

    /// How the node stands, by its own account.
    pub(super) fn status(&self) -> Option<Status> {
        self.life.as_ref().map(|life| life.status.borrow().clone())
    }

    /// Waits for a new status; `false` when the node has ended.
    pub(super) async fn changed(&mut self) -> bool {
        match &mut self.life {
            Some(life) => life.status.changed().await.is_ok(),
            None => std::future::pending().await,
        }
    }

    /// Waits until the node has ended.
    pub(super) async fn ended(&mut self) {
        while self.changed().await {}
    }

    /// Records in the node's own log, as far as this process knows.
    pub(super) fn own(&self) -> u64 {
        self.last.as_ref().map_or(0, |status| status.own)
    }

    /// Records in the node's apply file, by its last account.
    pub(super) fn applied(&self) -> u64 {
        self.status().map_or(0, |status| status.applied)
    }

    /// The port of the node's last life.
    pub(super) fn port(&self) -> u16 {
        self.last.as_ref().map_or(0, |status| status.port)
    }
}
