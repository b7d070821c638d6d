//! Whatever happens in whatever order: when the faults end, every node has everything.

use crate::world::World;

/// A few hundred steps of appends, deliveries, cuts, restarts, full disks and refusals, then peace.
fn chaos(seed: u64) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let count = rng.usize(2..=5);
    let mut world = World::new(count, seed);
    for a in 0..count {
        // A line at least, so that peace can reach everybody; some shortcuts.
        if a > 0 {
            world.connect(a, a - 1);
        }
        let b = rng.usize(0..count);
        if a != b && rng.bool() {
            world.connect(a, b);
        }
    }
    for _ in 0..rng.usize(50..400) {
        let (a, b) = (rng.usize(0..count), rng.usize(0..count));
        match rng.u32(0..100) {
            0..=29 => {
                let bytes = if rng.u32(0..10) == 0 { 700_000 } else { rng.usize(1..5_000) };
                world.append(a, bytes);
            }
            30..=79 => (0..rng.u32(1..30)).for_each(|_| {
                world.happen();
            }),
            80..=87 => world.run(rng.u64(1..4_000)),
            88..=90 => world.break_wires(a, b),
            91 | 92 => world.cut(a, b),
            93 | 94 => world.mend(a, b),
            95 | 96 => {
                world.vanish(a);
                rejoin(&mut world, a);
            }
            97 => world.nodes[a].disk_errors += rng.u32(1..4),
            _ => {
                let (log, next) = (crate::world::own(b), world.nodes[a].applied(crate::world::own(b)) + rng.u64(1..5));
                world.nodes[a].refuses.insert((log, next), rng.u32(1..3));
            }
        }
    }
    for a in 0..count {
        (0..count).for_each(|b| world.mend(a, b));
    }
    world.run(60_000);
    world.assert_converged(&format!("seed {seed}"));
    let before = world.pushes;
    world.run(60_000);
    assert_eq!(world.pushes, before, "seed {seed}: nothing is pushed in peace");
}

/// A restarted node knows no targets; its application connects again.
fn rejoin(world: &mut World, node: usize) {
    if node > 0 {
        world.connect(node, node - 1);
    }
}

#[test]
fn nodes_converge_after_any_interleaving_of_faults() {
    let seeds = std::env::var("MESH_SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(400);
    (0..seeds).for_each(chaos);
}

#[test]
fn the_same_seed_takes_the_same_course() {
    let course = |seed| {
        let mut world = World::new(3, seed);
        world.connect(0, 1);
        world.connect(1, 2);
        (0..20).for_each(|n| world.append(n % 3, 100 + n));
        world.run(10_000);
        let events: Vec<String> = world.nodes.iter().flat_map(|n| &n.events).map(ToString::to_string).collect();
        (events, world.pushes)
    };
    assert_eq!(course(9), course(9));
}
