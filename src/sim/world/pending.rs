//! What is to happen, as people read it: for a report on what never settles.

use super::{Happening, World};
use crate::message::Message;
use crate::node::Timer;
use crate::sim::network::Packet;
use crate::sim::text::milliseconds;

impl World {
    /// Everything that requests may still wait for, soonest first, one line each: what is on the
    /// agenda, what links hold back, and what paused nodes have yet to notice. Heartbeats and
    /// gossip never end and are left out.
    pub fn pending(&self) -> Vec<String> {
        let agenda = self.agenda.pending().into_iter();
        let line = |(at_us, happening): (u64, &Happening)| {
            let text = self.described(happening)?;
            Some(format!("{} ms  {text}", milliseconds(at_us as i64)))
        };
        let mut lines: Vec<String> = agenda.filter_map(line).collect();
        let held = self.network.held().filter_map(Packet::described);
        lines.extend(held.map(|packet| format!("held back  {packet}")));
        for id in self.ids() {
            let process = self.machines[id.0 as usize - 1].process.as_ref();
            let missed = process.and_then(|process| process.paused.as_ref());
            let missed = missed.into_iter().flatten().filter_map(|it| self.described(it));
            lines.extend(missed.map(|text| format!("{id} is paused  {text}")));
        }
        lines
    }

    /// None: it goes on for ever, or its process is gone.
    fn described(&self, happening: &Happening) -> Option<String> {
        let gone = |node: quorate_strategies::NodeId, life: u32| {
            !self.machines[node.0 as usize - 1].lives(life)
        };
        match happening {
            Happening::Deliver(packet) => packet.described(),
            Happening::Loaded { node, life, .. }
            | Happening::Committed { node, life }
            | Happening::Synced { node, life }
            | Happening::Fire { node, life, .. }
            | Happening::Ask { node, life, .. }
                if gone(*node, *life) =>
            {
                None
            }
            Happening::Loaded { node, key, .. } => {
                Some(format!("{node} has read {} from its disk", key.escape_ascii()))
            }
            Happening::Committed { node, .. } => Some(format!("{node} ends a commit")),
            Happening::Synced { node, .. } => Some(format!("{node} synchronises its disk")),
            Happening::Fire { node, timer: Timer::Sweep, .. } => {
                Some(format!("{node} looks at its deadlines"))
            }
            Happening::Fire { .. } => None,
            Happening::Ask { node, tag, .. } => Some(format!("{node} finds request {tag}")),
            Happening::Alarm(token) => Some(format!("alarm {token}")),
        }
    }
}

impl Packet {
    /// None: nothing but heartbeats and gossip.
    fn described(&self) -> Option<String> {
        let messages: Vec<String> = self.messages.iter().filter_map(described).collect();
        let (from, to) = (self.header.from, self.header.to);
        (!messages.is_empty()).then(|| format!("{from} -> {to}: {}", messages.join(", ")))
    }
}

fn described(message: &Message) -> Option<String> {
    Some(match message {
        Message::Apply { key, .. } => format!("apply {}", key.escape_ascii()),
        Message::Merge { key, .. } => format!("merge {}", key.escape_ascii()),
        Message::Read { key, .. } => format!("read {}", key.escape_ascii()),
        Message::Applied { .. } => "applied".to_string(),
        Message::Stored { .. } => "stored".to_string(),
        Message::Found { .. } => "found".to_string(),
        Message::Refused { reason, .. } => format!("refused, {reason}"),
        Message::Heartbeat { .. } | Message::Gossip { .. } | Message::GossipReply { .. } => {
            return None;
        }
    })
}
