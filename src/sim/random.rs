//! One seed, many streams: what one part draws does not shift what another part draws.

/// Who draws.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    Network,
    Machines,
    Node(u64),
    /// Load and faults of a random scenario, and the instants at which an experiment starts nodes.
    Scenario,
    /// The requests of an experiment's load.
    Load,
}

/// The seed of a stream.
pub fn stream(seed: u64, purpose: Purpose) -> u64 {
    let (name, number) = match purpose {
        Purpose::Network => ("network", 0),
        Purpose::Machines => ("machines", 0),
        Purpose::Node(id) => ("node", id),
        Purpose::Scenario => ("scenario", 0),
        Purpose::Load => ("load", 0),
    };
    xxhash_rust::xxh3::xxh3_64_with_seed(name.as_bytes(), seed ^ number.rotate_left(40))
}
