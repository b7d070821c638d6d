//! Who is linked to whom at the end: those who should be, by one connection that both call theirs. Decides nothing.

use std::collections::{BTreeMap, BTreeSet};

use crate::sim::Scenario;
use crate::sim::node::name;
use crate::sim::world::World;

impl World<'_> {
    /// The connection by which one node reaches another, as it thinks.
    fn route(&self, from: usize, to: usize) -> Option<u64> {
        let life = self.nodes[from].life.as_ref()?;
        let link = life.routes.get(&self.nodes[to].identity.id())?;
        life.links.get(link)?.at.map(|(conn, _)| conn)
    }

    fn pairs(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let nodes = self.nodes.len();
        (0..nodes).flat_map(|a| (0..a).map(move |b| (a, b)))
    }

    /// A pair that should be connected and is not, as both see it.
    pub(super) fn unlinked(&self) -> Option<String> {
        let open: BTreeSet<u64> = self.net.open_conns().into_iter().collect();
        self.pairs().find_map(|(a, b)| {
            let (here, there) = (self.route(a, b), self.route(b, a));
            let (here, there) = (here.filter(|conn| open.contains(conn)), there.filter(|conn| open.contains(conn)));
            let wanted = self.options.scenario == Scenario::Introductions
                || self.nodes[a].targets.contains(&b)
                || self.nodes[b].targets.contains(&a);
            let lacks = here.is_some() != there.is_some() || (wanted && here.is_none());
            lacks.then(|| format!("{} and {} are linked by {here:?} and {there:?}", name(a), name(b)))
        })
    }

    /// A pair that does not have exactly one link, the same one at both ends. While discovery goes on, one may give way to another or a
    /// second one be refused; in the end there is one.
    pub(super) fn untidy(&self) -> Option<String> {
        let mut open = BTreeMap::new();
        for conn in self.net.open_conns() {
            let [one, two] = [0, 1].map(|side| self.net.far_end(conn, side).map(|end| end.node));
            *open.entry((one.max(two), one.min(two))).or_insert(0) += 1;
        }
        self.pairs().find_map(|(a, b)| {
            let (here, there) = (self.route(a, b), self.route(b, a));
            let count = open.get(&(Some(a), Some(b))).copied().unwrap_or(0);
            let what = || format!("{} and {} are linked by {here:?} and {there:?}, {count} connections", name(a), name(b));
            (here != there || count > 1).then(what)
        })
    }
}
