//! Whom mDNS names now. Never more than its limit for long: whoever keeps it ends mDNS past it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use crate::base::limits;

/// The names, and what they were resolved to.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Every name that was found and not removed.
    found: BTreeSet<String>,
    /// Those that were resolved: their labels and places.
    standing: BTreeMap<String, (String, Vec<SocketAddr>)>,
}

impl Names {
    pub(super) fn found(&mut self, name: String) {
        self.found.insert(name);
    }

    /// Notes what a name leads to; the places it does not lead to any more.
    pub(super) fn resolved(&mut self, name: String, label: String, places: Vec<SocketAddr>) -> Vec<SocketAddr> {
        let mut before = self.standing.remove(&name).map(|(_, places)| places).unwrap_or_default();
        before.retain(|place| !places.contains(place));
        self.standing.insert(name, (label, places));
        before
    }

    /// Forgets a name; the places it led to.
    pub(super) fn removed(&mut self, name: &str) -> Vec<SocketAddr> {
        self.found.remove(name);
        self.standing.remove(name).map(|(_, places)| places).unwrap_or_default()
    }

    /// Forgets all, because what was removed meanwhile went unheard; the places they led to.
    pub(super) fn lost(&mut self) -> Vec<SocketAddr> {
        self.found.clear();
        std::mem::take(&mut self.standing).into_values().flat_map(|(_, places)| places).collect()
    }

    /// Every label and its places.
    pub(super) fn standing(&self) -> impl Iterator<Item = (&str, &[SocketAddr])> {
        self.standing.values().map(|(label, places)| (label.as_str(), places.as_slice()))
    }

    /// Names may be resolved that were never found: their finding went unheard.
    pub(super) fn are_too_many(&self) -> bool {
        self.found.len().max(self.standing.len()) > limits::MDNS_NAMES_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(n: usize) -> SocketAddr {
        SocketAddr::from(([10, 0, (n >> 8) as u8, n as u8], 9))
    }

    #[test]
    fn what_was_removed_while_nobody_listened_is_told_no_more() {
        let mut names = Names::default();
        for n in 1..=3 {
            names.found(n.to_string());
            assert!(names.resolved(n.to_string(), "label".into(), vec![at(n)]).is_empty());
        }
        let mut gone = names.lost();
        gone.sort();
        assert_eq!((gone, names.standing().count()), (vec![at(1), at(2), at(3)], 0));
        // The cache still has one of them, at another place too; then it moves, then it goes.
        names.found("2".into());
        assert!(names.resolved("2".into(), "label".into(), vec![at(2), at(4)]).is_empty());
        assert_eq!(names.resolved("2".into(), "label".into(), vec![at(4)]), [at(2)]);
        assert_eq!((names.removed("2"), names.removed("2")), (vec![at(4)], Vec::new()));
        assert_eq!(names.standing().count(), 0);
    }

    #[test]
    fn names_count_whether_found_or_resolved() {
        let (mut found, mut standing) = (Names::default(), Names::default());
        for n in 0..limits::MDNS_NAMES_MAX {
            found.found(n.to_string());
            standing.resolved(n.to_string(), String::new(), Vec::new());
        }
        assert!(!found.are_too_many() && !standing.are_too_many());
        found.found("one more".into());
        standing.resolved("one more".into(), String::new(), Vec::new());
        assert!(found.are_too_many() && standing.are_too_many());
    }
}
