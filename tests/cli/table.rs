//! The options of the program that came before this one, each with its default, its forms, what it refuses and how.

use crate::support::{From, Running, complaint, counter, counters, run, stderr, stdout, vixp2p};

struct Row {
    option: &'static str,
    /// Whether the help of the program shows it, or docs/cli only.
    shown: bool,
    /// Values that are taken; none for a flag.
    taken: &'static [&'static str],
    /// Values that are refused, and a word of the sentence.
    refused: &'static [(&'static str, &'static str)],
    /// The default as the page of `run` says it.
    default: &'static str,
}

const ROWS: &[Row] = &[
    Row { option: "--id", shown: true, taken: &["A", "\u{fc}"], refused: &[("", "empty")], default: "required" },
    Row {
        option: "--listen",
        shown: true,
        taken: &["0", "127.0.0.1:0", "[::1]:0", "tcp://127.0.0.1:0"],
        refused: &[("65536", "65536"), ("-1", "-1"), ("port", "port")],
        default: "required",
    },
    Row {
        option: "--connect",
        shown: true,
        taken: &["127.0.0.1:9", "tcp://127.0.0.1:9"],
        refused: &[("nohost", "no port"), ("udp://h:1", "udp"), ("h:0", "h:0")],
        default: "",
    },
    Row { option: "--connect-delay", shown: true, taken: &["0", "10"], refused: &[("-1", "from 0"), ("x", "from 0")], default: "0" },
    Row { option: "--no-connect", shown: true, taken: &[], refused: &[("yes", "--no-connect")], default: "" },
    Row { option: "--run", shown: true, taken: &["1"], refused: &[("-1", "from 0"), ("1.5", "from 0")], default: "0" },
    Row { option: "--stats-every", shown: true, taken: &["1", "1000"], refused: &[("0", "from 1"), ("-1", "from 1")], default: "1000" },
    Row { option: "--tui", shown: true, taken: &["on", "off"], refused: &[("auto", "on or off"), ("", "--tui")], default: "on when" },
    Row { option: "--quiet", shown: true, taken: &[], refused: &[("yes", "--quiet")], default: "" },
    Row { option: "--discovery", shown: true, taken: &["off"], refused: &[("yes", "on or off")], default: "on" },
    Row { option: "--disc-port", shown: false, taken: &["37020"], refused: &[("0", "1 to 65535"), ("65536", "1 to")], default: "37020" },
    Row {
        option: "--disc-mode",
        shown: false,
        taken: &["broadcast", "multicast"],
        refused: &[("unicast", "broadcast, multicast")],
        default: "broadcast",
    },
    Row { option: "--disc-interval", shown: false, taken: &["2000"], refused: &[("0", "from 100"), ("x", "from 100")], default: "2000" },
    Row { option: "--bootstrap", shown: false, taken: &["off"], refused: &[("yes", "on or off")], default: "off" },
    Row {
        option: "--registry",
        shown: true,
        taken: &["http://127.0.0.1:9/p2p/v1", "http://127.0.0.1:9"],
        refused: &[("127.0.0.1:9", "http"), ("ftp://h", "http")],
        default: "http://127.0.0.1:8080/p2p/v1",
    },
    Row { option: "--boot-interval", shown: false, taken: &["15"], refused: &[("0", "from 1"), ("x", "from 1")], default: "15" },
    Row { option: "--announce", shown: false, taken: &["on", "off"], refused: &[("yes", "on or off")], default: "on" },
    Row {
        option: "--log-level",
        shown: true,
        taken: &["trace", "debug", "info", "warn", "error", "critical", "off", "warning", "err", "fatal", "none", "WARN"],
        refused: &[("loud", "trace, debug, info, warn, error, critical or off"), ("3", "trace")],
        default: "info",
    },
];

/// A short run with `option` in one of its forms, beside what is required.
fn line(option: &str, form: &[String]) -> Vec<String> {
    let mut line = Vec::new();
    for (name, value) in [("--id", "A"), ("--listen", "0"), ("--run", "1"), ("--discovery", "off")] {
        if name != option {
            line.push(format!("{name}={value}"));
        }
    }
    line.extend_from_slice(form);
    line
}

fn forms(row: &Row, value: &str) -> Vec<Vec<String>> {
    vec![vec![format!("{}={value}", row.option)], vec![row.option.to_owned(), value.to_owned()]]
}

#[test]
fn every_value_of_every_option_is_taken_in_both_forms() {
    let lines = ROWS.iter().flat_map(|row| match row.taken {
        [] => vec![line(row.option, &[row.option.to_owned()])],
        values => values.iter().flat_map(|value| forms(row, value)).map(|form| line(row.option, &form)).collect(),
    });
    let running: Vec<_> = lines
        .map(|line| {
            let args: Vec<&str> = line.iter().map(String::as_str).collect();
            let child = vixp2p(&args).stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn();
            (line, child.expect("the program starts"))
        })
        .collect();
    for (line, child) in running {
        let output = child.wait_with_output().expect("it ends");
        assert_eq!(output.status.code(), Some(0), "{line:?}: {}", stderr(&output));
        counters(stdout(&output).lines().last().expect("final counters"));
    }
}

#[test]
fn every_unusable_value_is_named_with_its_option_and_ends_in_2() {
    for row in ROWS {
        for (value, word) in row.refused {
            let both = if row.taken.is_empty() { vec![vec![format!("{}={value}", row.option)]] } else { forms(row, value) };
            for form in both {
                let line = line(row.option, &form);
                let args: Vec<&str> = line.iter().map(String::as_str).collect();
                let text = complaint(&vixp2p(&args).output().expect("starts"), 2);
                assert!(text.contains(row.option) && text.contains(word), "{form:?}: {text}");
            }
        }
    }
}

#[test]
fn every_option_stands_in_its_page_with_its_default_and_in_the_help_if_it_is_common() {
    let help = stdout(&run(&["--help"]));
    let page = include_str!("../../docs/cli/run.md");
    for row in ROWS {
        assert_eq!(help.contains(&format!("{} ", row.option)) || help.contains(&format!("{}\n", row.option)), row.shown, "{}", row.option);
        let start = format!("| `{}", row.option);
        let said = page.lines().find(|line| line.starts_with(&start) && !line[start.len()..].starts_with('-'));
        assert!(said.is_some_and(|line| line.contains(row.default)), "{}: {said:?}", row.option);
    }
}

#[test]
fn debug_is_a_level_and_goes_with_no_other() {
    let said = stderr(&run(&["--name=A", "--listen=127.0.0.1:0", "--disc-iface=lo", "--run=1", "--quiet", "--debug"]));
    assert!(said.contains(" debug "), "{said}");
    assert!(complaint(&run(&["--id=A", "--listen=0", "--debug", "--log-level=info"]), 2).contains("--log-level"));
}

#[test]
fn without_options_the_program_says_what_it_needs_and_ends_in_2() {
    let text = complaint(&run(&[]), 2);
    assert!(text.contains("--id") && text.contains("--listen"), "{text}");
}

#[test]
fn quiet_leaves_the_final_counters_and_the_live_line_ends_in_a_block() {
    let quiet = run(&["--id=A", "--listen=0", "--run=1", "--stats-every=50", "--quiet", "--tui=on"]);
    assert_eq!(stdout(&quiet).lines().count(), 1, "{}", stdout(&quiet));
    let live = stdout(&run(&["--id=A", "--listen=0", "--run=1", "--tui=on"]));
    assert!(live.contains('\r') && live.contains("\x1b[K"), "{live:?}");
    let (_, block) = live.split_once("final counters\n").expect("the block");
    assert_eq!(block.lines().count(), 10, "nine counters and the line: {block:?}");
}

#[test]
fn connects_on_the_command_line_are_dialled_after_the_delay_and_not_with_no_connect() {
    // A port that nobody can listen on for us: bound, not listening.
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    socket.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("a port");
    let to = format!("--connect={}", socket.local_addr().expect("bound").as_socket().expect("an address"));
    let mut node = Running::start(&["--id=A", "--listen=0", &to, "--connect-delay=1"]);
    node.wait_for(From::Stdout, "connect_attempts=1 ");
    let quiet = run(&["--id=A", "--listen=0", &to, "--no-connect", "--run=1", "--quiet"]);
    assert_eq!(counter(stdout(&quiet).trim_end(), "connect_attempts"), 0);
}
