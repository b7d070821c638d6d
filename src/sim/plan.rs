//! Scenarios as text: who is there, who dials whom, what happens when, what must hold by then. Reads them, plays nothing.
//!
//! ```text
//! # a comment
//! nodes 3
//! links B-A C-A                      B and C dial A
//! lan                                nodes announce themselves to those they are linked with
//! segments 5000                      logs go over to another segment after so many bytes, and records are short
//! keys 1h                            fresh keys so often (3 s unless said)
//! causal                             all are in causal mode
//! at 5s     A writes 10
//! at 10s    islands AB C             until "heal", which is also "for 30s"
//! at 20s    A>B blocked for 30s      nothing of A reaches B
//! at 30s    B dies for 1m            "loses power" takes what is not synced; without "for" it stays away
//! at 2m     A pauses for 30s
//! at 2m     C flaps 5 times for 2s
//! at 3m     A clock +10y
//! at 3m     B truncates              a snapshot is made, and what is in it let go of
//! at 3m     B copies its disk        and later: B gets its old disk for 5s
//! at 3m     B rots another for 5s    a bit of another's log flips while it is off: or "own"
//! at 4m     C connects B             or "disconnects"
//! at 4m     B calls 50 of 1000 poison, C refuses 300 of 1000, B resumes
//! at 30d    expect A B C             they have everything
//! ```

use std::collections::VecDeque;
use std::time::Duration;

use crate::base::Time;
use crate::sim::script::Action;

const YEAR_US: u64 = 365 * 24 * 3600 * 1_000_000;

/// A scenario that was read.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) nodes: usize,
    pub(super) edges: Vec<(usize, usize)>,
    pub(super) keys: Option<Duration>,
    pub(super) causal: bool,
    pub(super) lan: bool,
    pub(super) segments: Option<u64>,
    pub(super) steps: VecDeque<(Time, Action)>,
}

/// Reads a scenario; an error names the line.
pub(super) fn parse(text: &str) -> Result<Plan, String> {
    let mut plan = Plan { nodes: 2, edges: Vec::new(), keys: None, causal: false, lan: false, segments: None, steps: VecDeque::new() };
    for (number, line) in (1..).zip(text.lines()) {
        let words: Vec<&str> = line.split('#').next().unwrap_or_default().split_whitespace().collect();
        read_line(&mut plan, &words).ok_or_else(|| format!("line {number}: \"{line}\" is no line of a scenario"))?;
    }
    let steps = plan.steps.make_contiguous();
    steps.sort_by_key(|(time, _)| *time);
    let highest = plan.edges.iter().map(|(a, b)| *a.max(b)).max().unwrap_or(0);
    if highest >= plan.nodes { Err(format!("a link to a node beyond the {} there are", plan.nodes)) } else { Ok(plan) }
}

fn read_line(plan: &mut Plan, words: &[&str]) -> Option<()> {
    match words {
        [] => {}
        ["nodes", n] => plan.nodes = n.parse().ok().filter(|n| (2..=26).contains(n))?,
        ["causal"] => plan.causal = true,
        ["lan"] => plan.lan = true,
        ["segments", bytes] => plan.segments = Some(bytes.parse().ok()?),
        ["keys", pause] => plan.keys = Some(duration(pause)?),
        ["links", pairs @ ..] => {
            for pair in pairs {
                let (from, to) = pair.split_once('-')?;
                plan.edges.push((node(from)?, node(to)?));
            }
        }
        ["at", time, what @ ..] => plan.steps.push_back((Time::ZERO + duration(time)?, action(plan.nodes, what)?)),
        _ => return None,
    }
    Some(())
}

fn node(text: &str) -> Option<usize> {
    match text.as_bytes() {
        [letter @ b'A'..=b'Z'] => Some(usize::from(letter - b'A')),
        _ => None,
    }
}

fn duration(text: &str) -> Option<Duration> {
    let at = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(at);
    let ms = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    Some(Duration::from_millis(number.parse::<u64>().ok()?.checked_mul(ms)?))
}

/// The pause that "for …" names; far longer than any scenario if nothing is said.
fn pause(words: &[&str]) -> Option<u64> {
    match words {
        [] => Some(1 << 40),
        ["for", pause] => Some(duration(pause)?.as_millis() as u64),
        _ => None,
    }
}

fn action(nodes: usize, words: &[&str]) -> Option<Action> {
    let (first, rest) = words.split_first()?;
    match *first {
        "heal" => return Some(Action::Heal),
        "expect" => return Some(Action::Expect { nodes: rest.iter().map(|name| node(name)).collect::<Option<_>>()? }),
        "islands" => return islands(nodes, rest),
        _ => {}
    }
    if let Some((from, to)) = first.split_once('>') {
        let [verb, then @ ..] = rest else { return None };
        let (from, to) = (node(from)?, node(to)?);
        return (*verb == "blocked").then_some(Action::OneWay { from, to, millis: pause(then)? });
    }
    of_node(node(first).filter(|node| *node < nodes)?, rest)
}

fn islands(nodes: usize, words: &[&str]) -> Option<Action> {
    let named = words.iter().position(|word| *word == "for").unwrap_or(words.len());
    let mut islands = vec![u8::MAX; nodes];
    for (island, names) in (0..).zip(&words[..named]) {
        for name in names.chars() {
            *islands.get_mut(node(&name.to_string())?)? = island;
        }
    }
    Some(Action::Partition { islands, millis: pause(&words[named..])? })
}

fn of_node(node_of: usize, words: &[&str]) -> Option<Action> {
    let node = node_of;
    let back = |words: &[&str]| -> Option<Option<u64>> { if words.is_empty() { Some(None) } else { pause(words).map(Some) } };
    Some(match words {
        ["writes", records] => Action::Write { node, records: records.parse().ok()? },
        ["sends", messages] => Action::Talk { node, messages: messages.parse().ok()? },
        ["connects", to] => Action::Connect { from: node, to: self::node(to)? },
        ["disconnects", to] => Action::Disconnect { from: node, to: self::node(to)? },
        ["dies", then @ ..] => Action::Crash { node, power: false, back_ms: back(then)? },
        ["loses", "power", then @ ..] => Action::Crash { node, power: true, back_ms: back(then)? },
        ["pauses", then @ ..] => Action::Pause { node, millis: pause(then)? },
        ["flaps", times, "times", then @ ..] => Action::Flap { node, times: times.parse().ok()?, millis: pause(then)? },
        ["clock", years] => {
            let years: i64 = years.strip_suffix('y')?.parse().ok()?;
            // Fifty-six years after 1970, give or take.
            Action::JumpClock { node, wall_us: (56 * YEAR_US).saturating_add_signed(years.saturating_mul(YEAR_US as i64)) }
        }
        ["copies", "its", "disk"] => Action::Save { node },
        ["gets", "its", "old", "disk", then @ ..] => Action::Restore { node, back_ms: pause(then)? },
        ["rots", whose @ ("own" | "another"), then @ ..] => Action::Rot { node, own: *whose == "own", back_ms: pause(then)? },
        ["calls", per_mille, "of", "1000", "poison"] => Action::Poison { node, per_mille: per_mille.parse().ok()? },
        ["refuses", per_mille, "of", "1000"] => Action::Refuse { node, per_mille: per_mille.parse().ok()? },
        ["resumes"] => Action::Resume { node },
        ["truncates"] => Action::Truncate { node },
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scenario_is_read_in_the_order_of_its_times() {
        let plan =
            parse("# two\nnodes 3\nlinks B-A C-B\nat 2m expect A B\nat 5s A writes 10 # ten\nat 1m islands AB C for 30s\n").expect("reads");
        assert_eq!((plan.nodes, plan.edges), (3, vec![(1, 0), (2, 1)]));
        let steps: Vec<String> = plan.steps.iter().map(|(time, action)| format!("{time} {action}")).collect();
        assert!(steps[0].ends_with("A writes 10 records") && steps[1].contains("[0, 0, 1] for 30000") && steps[2].contains("must have"));
    }

    #[test]
    fn a_line_that_is_none_is_named() {
        for bad in ["at 5s", "at 5 A writes 1", "at 5s Z writes 1", "nodes 27", "links A", "at 5s A>B open", "what"] {
            let error = parse(&format!("nodes 2\n{bad}\n")).expect_err(bad);
            assert!(error.contains("line 2") && error.contains(bad), "{error}");
        }
        assert!(parse("nodes 2\nlinks C-A\n").is_err());
    }
}
