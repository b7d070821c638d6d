//! A node until it is told to stop: starts it, shows its counters. Decides nothing about peers.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tokio::time::{Instant, MissedTickBehavior, Sleep, interval_at, sleep, sleep_until};
use vixp2p::base::config::Listen;
use vixp2p::base::{BootstrapConfig, BootstrapMode, Event, Invite, Level};
use vixp2p::driver::apply::Outcome;
use vixp2p::{Config, Endpoint, Node, Stats};

use crate::apply::ApplyFile;
use crate::args::{BootstrapArgs, NodeArgs, Place, Switch, Target, Whom};
use crate::commands::chat::{self, Order};
use crate::commands::doctor::running::About;
use crate::commands::send::Waiting;
use crate::control::server::{Progress, Served, Server};
use crate::failure::Failure;
use crate::screen::Screen;
use crate::secrets;

/// How long the node may take to say goodbye; what is durable stays so if it is cut off.
const STOP_MAX: Duration = Duration::from_millis(1_500);

pub(crate) async fn run(args: NodeArgs) -> Result<(), Failure> {
    let config = settings(&args)?;
    let mut stop = Stop::watch(&args)?;
    // The counters would run between the lines of a talk.
    let log_level = if args.debug { Level::Debug } else { args.log_level };
    let args = NodeArgs { quiet: args.quiet || args.chat, log_level, ..args };
    let live = !args.quiet && args.tui.map_or_else(|| io::stdout().is_terminal(), |tui| tui == Switch::On);
    let screen = Screen::start(live, args.log_level).map_err(Failure::io("starting the output thread"))?;
    let outcome = live_through(&args, config, &screen, &mut stop).await;
    screen.finish(outcome.as_ref().ok());
    outcome.map(drop)
}

/// The node's settings, with every file that belongs to the command line read.
fn settings(args: &NodeArgs) -> Result<Config, Failure> {
    let mut config = Config::new(args.id.clone().unwrap_or_default());
    for place in &args.listen {
        match place {
            Place::Tcp(Listen::Off) => {}
            Place::Tcp(on) if config.listen == Listen::Off => config.listen = on.clone(),
            Place::Tcp(Listen::On { host, port }) => config.listen_also.push(Endpoint::tcp(host, *port)),
            Place::Other(endpoint) => config.listen_also.push(endpoint.clone()),
        }
    }
    config.data_dir = args.data.clone();
    config.key_file = args.key.clone();
    if args.passphrase_file.is_some() && args.data.is_none() && args.key.is_none() {
        return Err(Failure::Usage("option --passphrase-file needs --data or --key; see vixp2p --help".into()));
    }
    config.dial = !args.no_connect;
    config.remember_peers = !args.no_remember;
    config.relay = !args.no_relay;
    config.peer_exchange = !args.no_peer_exchange;
    config.trust = args.trust;
    config.key_passphrase = secrets::passphrase("--passphrase-file", args.passphrase_file.as_deref())?;
    config.psk = args.psk_file.as_deref().map(|path| secrets::psk("--psk-file", path)).transpose()?;
    config.psk_previous = args.psk_file_previous.as_deref().map(|path| secrets::psk("--psk-file-previous", path)).transpose()?;
    config.key_agreement = args.key_agreement;
    config.durability = args.durability;
    config.causal = args.causal;
    config.bootstrap = bootstrap(&args.bootstrap)?;
    config.discovery = args.discovery.config();
    for psk in invites(args).filter_map(Invite::psk) {
        if config.psk.as_ref().is_some_and(|known| known != psk) {
            let text = "the invites of --connect and the file of --psk-file hold different pre-shared keys; a node has one";
            return Err(Failure::Usage(text.into()));
        }
        config.psk = Some(psk.clone());
    }
    Ok(config)
}

/// The settings of the registry's client.
fn bootstrap(args: &BootstrapArgs) -> Result<Option<BootstrapConfig>, Failure> {
    let Some(url) = args.url() else { return Ok(None) };
    let mut config = BootstrapConfig::new(url);
    let announce = args.announce != Some(Switch::Off);
    config.mode = if announce { BootstrapMode::PullAndAnnounce } else { BootstrapMode::PullOnly };
    config.poll_interval = Duration::from_secs(u64::from(args.boot_interval));
    config.announce_host = args.announce_host.clone();
    config.token = args.registry_token_file.as_deref().map(|path| secrets::token("--registry-token-file", path)).transpose()?;
    config.ca_pem = args.registry_ca.as_deref().map(|path| secrets::certificates("--registry-ca", path)).transpose()?;
    Ok(Some(config))
}

fn invites(args: &NodeArgs) -> impl Iterator<Item = &Invite> {
    args.connect.iter().filter_map(|whom| match whom {
        Whom::Invite(invite) => Some(&**invite),
        Whom::Endpoint(_) => None,
    })
}

/// Opens, starts, serves and stops the node; its counters as they were when it was told to stop.
async fn live_through(args: &NodeArgs, config: Config, screen: &Screen, stop: &mut Stop) -> Result<Stats, Failure> {
    let opening = tokio::task::spawn_blocking(move || Node::open(config));
    let node = tokio::select! {
        opened = opening => opened.map_err(|error| Failure::Runtime(format!("opening the node: {error}")))??,
        () = stop.requested() => return Ok(Stats::default()),
    };
    let mut session = Session::start(args, node, screen)?;
    let outcome = session.serve(args, stop).await;
    let last = session.node.stats();
    session.stop().await;
    outcome.map(|()| last)
}

/// A started node with what belongs to it.
struct Session<'a> {
    node: Node,
    screen: &'a Screen,
    progress: Arc<Progress>,
    about: Arc<About>,
    waiting: Arc<Waiting>,
    door: Option<Server>,
    events: Option<File>,
    shown: Option<Stats>,
}

impl<'a> Session<'a> {
    fn start(args: &NodeArgs, node: Node, screen: &'a Screen) -> Result<Session<'a>, Failure> {
        // What was found while opening; later events reach the log by themselves.
        while let Some(event) = node.try_next_event() {
            screen.log(event.level(), &event.to_string());
        }
        let lines = screen.clone();
        node.on_log(args.log_level, move |level, text| lines.log(level, text));
        let about = Arc::new(About::new(args));
        let events = args.events.as_deref().map(|path| {
            let opened = OpenOptions::new().append(true).create(true).open(path);
            opened.map_err(Failure::io(format!("opening --events {}", path.display())))
        });
        let events = events.transpose()?;
        let progress = apply_to(args.apply_to.as_deref(), &node, screen)?;
        screen.log(Level::Info, &format!("node {} is {}", vixp2p::base::event::printable(node.node_id()), node.id()));
        node.start()?;
        let waiting = Arc::new(Waiting::default());
        let door = args.data.as_deref().and_then(|dir| {
            let (progress, about, waiting) = (progress.clone(), about.clone(), waiting.clone());
            let served = Served { node: node.clone(), progress, about, waiting, screen: screen.clone() };
            let opened = Server::open(dir, served);
            opened.inspect_err(|error| screen.log(Level::Warn, &format!("no control socket, append will be refused: {error}"))).ok()
        });
        Ok(Session { node, screen, progress, about, waiting, door, events, shown: None })
    }

    /// Runs until it is time to stop or the node fails.
    async fn serve(&mut self, args: &NodeArgs, stop: &mut Stop) -> Result<(), Failure> {
        let period = Duration::from_millis(u64::from(args.stats_every));
        let mut ticks = interval_at(Instant::now() + period, period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut delay = std::pin::pin!(sleep(Duration::from_millis(u64::from(args.connect_delay))));
        let mut dialled = args.no_connect;
        // Without a data directory there is no file to read again, and the signal keeps its meaning.
        let hangup = || signal(SignalKind::hangup()).map_err(Failure::io("listening for signals"));
        let mut hangup = args.data.as_ref().map(|_| hangup()).transpose()?;
        let mut talk = if args.chat { Some(chat::lines()?) } else { None };
        loop {
            self.show(args.quiet, false);
            tokio::select! {
                () = stop.requested() => return Ok(()),
                () = &mut delay, if !dialled => {
                    dialled = true;
                    self.dial(&args.connect)?;
                }
                () = async { match &mut hangup { Some(signal) => drop(signal.recv().await), None => std::future::pending().await } } => {
                    self.reload().await;
                }
                line = async { match &mut talk { Some(lines) => lines.recv().await, None => std::future::pending().await } } => {
                    match line.map(|line| chat::order(&line)) {
                        None | Some(Order::Quit) => return Ok(()),
                        Some(order) => self.obey(order),
                    }
                }
                _ = ticks.tick() => self.show(args.quiet, true),
                event = self.node.next_event() => match event {
                    None => return Ok(()),
                    Some(Event::Fatal { detail }) => return Err(Failure::Runtime(format!("the node failed: {detail}"))),
                    Some(event) => {
                        self.about.note(&event);
                        self.waiting.note(&event);
                        self.events = self.events.take().and_then(|file| self.write_event(file, &event));
                        if args.chat {
                            chat::heard(&self.node, event).into_iter().for_each(|line| self.screen.say(line));
                        }
                        self.progress.changed();
                    }
                },
            }
        }
    }

    /// Adds an event to the file of `--events`; a file that takes no more is given up.
    fn write_event(&self, mut file: File, event: &Event) -> Option<File> {
        match writeln!(file, "{}", event.to_json()) {
            Ok(()) => Some(file),
            Err(error) => {
                self.screen.log(Level::Error, &format!("events are no longer written: {error}"));
                None
            }
        }
    }

    /// Carries out an order of `--chat`.
    fn obey(&self, order: Order) {
        let answer = match order {
            Order::Say(text) => chat::say(&self.node, &text).into_iter().collect(),
            Order::Send(to, text) => chat::send(&self.node, to, &text).into_iter().collect(),
            Order::Peers => chat::peers(&self.node),
            Order::Discover => chat::discover(&self.node),
            Order::Connect(whom) => match self.dial(&[whom]) {
                Ok(()) => Vec::new(),
                Err(failure) => failure.text().into_iter().collect(),
            },
            Order::Answer(text) => vec![vixp2p::base::event::printable(&text)],
            Order::Quit => Vec::new(),
        };
        answer.into_iter().for_each(|line| self.screen.say(line));
    }

    /// Reads `known_peers` again.
    async fn reload(&self) {
        let node = self.node.clone();
        match tokio::task::spawn_blocking(move || node.reload_trust()).await {
            Ok(Ok(())) => self.screen.log(Level::Info, &format!("known_peers read again: {} keys", self.node.trusted().len())),
            Ok(Err(error)) => self.screen.log(Level::Error, &format!("known_peers not read again, what held before holds on: {error}")),
            Err(error) => self.screen.log(Level::Error, &error.to_string()),
        }
    }

    fn dial(&self, wanted: &[Whom]) -> Result<(), Failure> {
        for whom in wanted {
            match whom {
                Whom::Endpoint(Target { endpoint, peer: Some(peer) }) => self.node.connect_to(endpoint.clone(), *peer)?,
                Whom::Endpoint(Target { endpoint, peer: None }) => self.node.connect(endpoint.clone())?,
                Whom::Invite(invite) => {
                    for address in invite.addresses() {
                        self.node.connect_to(address.clone(), invite.peer())?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Shows the counters if they changed, or `anyway`.
    fn show(&mut self, quiet: bool, anyway: bool) {
        let stats = self.node.stats();
        let line = |stats: &Stats| stats.to_string();
        if !quiet && (anyway || self.shown.as_ref().map(line) != Some(line(&stats))) {
            self.screen.stats(&stats);
            self.shown = Some(stats);
        }
    }

    async fn stop(&mut self) {
        self.door = None;
        self.waiting.end();
        let node = self.node.clone();
        let stopping = tokio::task::spawn_blocking(move || node.stop_blocking());
        if tokio::time::timeout(STOP_MAX, stopping).await.is_err() {
            self.screen.log(Level::Warn, "stopping takes too long, leaving; what is durable stays");
        }
        while let Some((file, event)) = self.events.take().and_then(|file| Some((file, self.node.try_next_event()?))) {
            self.events = self.write_event(file, &event);
        }
    }
}

/// Sets up `--apply-to`; the progress that is told to clients.
fn apply_to(path: Option<&Path>, node: &Node, screen: &Screen) -> Result<Arc<Progress>, Failure> {
    let Some(path) = path else { return Ok(Progress::new(0)) };
    let mut file = ApplyFile::open(path)?;
    file.align(node)?;
    let progress = Progress::new(file.lines());
    let (told, lines) = (progress.clone(), screen.clone());
    node.on_apply(move |record| match file.apply(record) {
        Ok(outcome) => {
            told.applied(file.lines());
            outcome
        }
        Err(why) => {
            lines.log(Level::Error, &why);
            Outcome::Retry
        }
    });
    Ok(progress)
}

/// Everything that ends a run: SIGINT, SIGTERM, `--run`, the end of standard input.
struct Stop {
    interrupt: Signal,
    terminate: Signal,
    deadline: Option<Pin<Box<Sleep>>>,
    input: Option<oneshot::Receiver<()>>,
}

impl Stop {
    fn watch(args: &NodeArgs) -> Result<Stop, Failure> {
        let on = |kind| signal(kind).map_err(Failure::io("listening for signals"));
        let run = Duration::from_secs(u64::from(args.run));
        Ok(Stop {
            interrupt: on(SignalKind::interrupt())?,
            terminate: on(SignalKind::terminate())?,
            deadline: (args.run > 0).then(|| Box::pin(sleep_until(Instant::now() + run))),
            input: if args.stop_on_eof { Some(end_of_input()?) } else { None },
        })
    }

    /// Resolves when it is time to stop.
    async fn requested(&mut self) {
        let Stop { interrupt, terminate, deadline, input } = self;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            () = async { match deadline { Some(at) => at.await, None => std::future::pending().await } } => {}
            () = async { match input { Some(end) => drop(end.await), None => std::future::pending().await } } => {}
        }
    }
}

/// Tells when standard input ends. A thread of its own reads it, since a read cannot be called off.
fn end_of_input() -> Result<oneshot::Receiver<()>, Failure> {
    let (end, ended) = oneshot::channel();
    let read = move || {
        // An unreadable input has ended as well.
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        drop(end);
    };
    std::thread::Builder::new().name("vixp2p-stdin".into()).spawn(read).map_err(Failure::io("reading standard input"))?;
    Ok(ended)
}
