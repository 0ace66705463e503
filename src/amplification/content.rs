//! What a table holds, as shares of the keys in stretches of the key space; merging and cutting.
//!
//! ```text
//!   keys      0 ────────────────────────────────── records
//!   newer         [   0.10    ][  0.25  ]                     share of the keys that are in it
//!   older     [         0.40                 ][ 0.90 ]
//!   merged    [.40][   0.46   ][  0.55  ][.40][ 0.90 ]        1 − (1 − newer)(1 − older)
//! ```
//!
//! Which keys of a stretch were overwritten is a matter of chance, and independent from table to
//! table; so the share of keys that a merge leaves follows from the shares of its inputs alone.
//! What the fill wrote is never in two places, and is kept apart: it adds up.

use super::workload::{Class, Workload};

/// Of the keys of one class: the share whose newest entry in the table is of this kind.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Share {
    /// Inserted once, by the fill.
    pub filled: f32,
    /// Overwritten.
    pub written: f32,
    /// Deleted: a tombstone.
    pub deleted: f32,
}

impl Share {
    /// What covers older entries whatever these are.
    pub fn overwritten(&self) -> f32 {
        self.written + self.deleted
    }

    fn add(&mut self, other: Share, part: f32) {
        self.filled += other.filled * part;
        self.written += other.written * part;
        self.deleted += other.deleted * part;
    }
}

/// From a key to below another, both counted from the first of the key space.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Span {
    pub from: f64,
    pub to: f64,
}

/// Stretches of keys in order, with a share for each class of keys.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Content {
    spans: Vec<Span>,
    /// As many in a row for each span as there are classes.
    shares: Vec<Share>,
    /// (These entries expire by this second, how many), ascending; empty where nothing expires.
    pub expiry: Vec<(u64, f64)>,
}

/// What a table weighs.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Weight {
    pub entries: f64,
    pub tombstones: f64,
    pub bytes: f64,
}

impl Content {
    /// One stretch, with these shares everywhere.
    pub fn even(from: f64, to: f64, shares: Vec<Share>) -> Self {
        Content { spans: vec![Span { from, to }], shares, expiry: Vec::new() }
    }

    /// `other` lies behind all of this.
    pub fn append(&mut self, mut other: Content) {
        self.spans.append(&mut other.spans);
        self.shares.append(&mut other.shares);
    }

    /// The first key and the one behind the last; None: nothing at all.
    pub fn ends(&self) -> Option<(f64, f64)> {
        Some((self.spans.first()?.from, self.spans.last()?.to))
    }

    fn classes(&self) -> usize {
        self.shares.len() / self.spans.len().max(1)
    }

    pub fn spans(&self) -> impl Iterator<Item = (Span, &[Share])> {
        self.spans.iter().copied().zip(self.shares.chunks(self.classes().max(1)))
    }

    /// The shares where `key` lies.
    pub fn at(&self, key: f64) -> Option<&[Share]> {
        let span = self.spans.partition_point(|span| span.to <= key);
        let inside = self.spans.get(span).is_some_and(|span| span.from <= key);
        let classes = self.classes();
        inside.then(|| &self.shares[span * classes..(span + 1) * classes])
    }

    pub fn weight(&self, classes: &[Class], load: &Workload) -> Weight {
        let mut weight = Weight::default();
        for (span, shares) in self.spans() {
            let here = density(shares, classes, load);
            let keys = span.to - span.from;
            weight.entries += here.entries * keys;
            weight.tombstones += here.tombstones * keys;
            weight.bytes += here.bytes * keys;
        }
        weight
    }

    /// Adds a stretch behind all others, joined to the last where the two are nearly alike.
    fn push(&mut self, span: Span, shares: &[Share]) {
        if let Some(last) = self.spans.last_mut() {
            let start = self.shares.len() - shares.len();
            let before = &mut self.shares[start..];
            if last.to == span.from && alike(before, shares) {
                let (old, new) = (last.to - last.from, span.to - span.from);
                let (old, new) = ((old / (old + new)) as f32, (new / (old + new)) as f32);
                for (a, b) in before.iter_mut().zip(shares) {
                    let mut mean = Share::default();
                    mean.add(*a, old);
                    mean.add(*b, new);
                    *a = mean;
                }
                last.to = span.to;
                return;
            }
        }
        self.spans.push(span);
        self.shares.extend_from_slice(shares);
    }
}

/// Shares that differ by less than this part are one stretch: far below what moves a picker.
const ALIKE: f32 = 0.02;
/// Of any size.
const NOTHING: f32 = 1e-5;

fn alike(a: &[Share], b: &[Share]) -> bool {
    let near = |a: f32, b: f32| (a - b).abs() <= ALIKE * a.max(b) + NOTHING;
    a.iter().zip(b).all(|(a, b)| {
        near(a.filled + a.written, b.filled + b.written) && near(a.deleted, b.deleted)
    })
}

/// Per key of the stretch.
fn density(shares: &[Share], classes: &[Class], load: &Workload) -> Weight {
    let (mut values, mut tombstones) = (0.0, 0.0);
    for (share, class) in shares.iter().zip(classes) {
        values += f64::from(share.filled + share.written) * class.share;
        tombstones += f64::from(share.deleted) * class.share;
    }
    let bytes = values * load.entry_bytes() + tombstones * load.tombstone_bytes();
    Weight { entries: values + tombstones, tombstones, bytes }
}

/// Stretches of keys that older tables may hold, so that dead entries above them must stay.
#[derive(Clone, Debug, Default)]
pub(super) struct Cover(Vec<Span>);

impl Cover {
    /// The union of the stretches.
    pub fn new(mut spans: Vec<Span>) -> Self {
        spans.sort_by(|a, b| a.from.total_cmp(&b.from));
        let mut union: Vec<Span> = Vec::new();
        for span in spans {
            match union.last_mut().filter(|last| span.from <= last.to) {
                Some(last) => last.to = last.to.max(span.to),
                None => union.push(span),
            }
        }
        Cover(union)
    }

    /// The part of a stretch with nothing beneath.
    fn free(&self, span: Span) -> f64 {
        let first = self.0.partition_point(|other| other.to <= span.from);
        let beneath = self.0[first..].iter().take_while(|other| other.from < span.to);
        let covered: f64 =
            beneath.map(|other| other.to.min(span.to) - other.from.max(span.from)).sum();
        (1.0 - covered / (span.to - span.from)).clamp(0.0, 1.0)
    }
}

/// A sorted run that takes part in a merge: its tables by key.
struct Source<'a> {
    stretches: Vec<Stretch<'a>>,
    at: usize,
}

struct Stretch<'a> {
    span: Span,
    shares: &'a [Share],
    table: usize,
}

/// Merges runs of tables, the newest run first and the tables of each by key. Where nothing lies
/// beneath dead entries go; elsewhere what has expired becomes a tombstone.
pub(super) fn merge(runs: &[Vec<&Content>], cover: &Cover, now_s: u64) -> Content {
    let tables: Vec<&Content> = runs.iter().flatten().copied().collect();
    let expired: Vec<f64> = tables.iter().map(|table| table.expired_share(now_s)).collect();
    let (mut sources, bounds) = sources(runs);
    let mut merged = Content::default();
    let mut kept = vec![0.0; tables.len()];
    let classes = tables.first().map_or(0, |table| table.classes());
    let (mut shares, mut left) = (vec![Share::default(); classes], vec![1.0_f32; classes]);
    for bound in bounds.windows(2) {
        let span = Span { from: bound[0], to: bound[1] };
        let mut free = None;
        let mut any = false;
        for source in &mut sources {
            let Some(stretch) = source.seek(span.from) else { continue };
            if !any {
                shares.fill(Share::default());
                left.fill(1.0);
                any = true;
            }
            let free = *free.get_or_insert_with(|| cover.free(span)) as f32;
            let dead = expired[stretch.table] as f32;
            let mut entries = 0.0;
            for ((to, from), left) in shares.iter_mut().zip(stretch.shares).zip(&mut left) {
                let values = (from.filled + from.written) * *left;
                to.add(Share { deleted: 0.0, ..*from }, *left * (1.0 - dead));
                to.deleted += (from.deleted * *left + values * dead) * (1.0 - free);
                entries += values * (1.0 - dead);
                *left *= 1.0 - from.overwritten();
            }
            kept[stretch.table] += f64::from(entries) * (span.to - span.from);
        }
        if any {
            merged.push(span, &shares);
        }
    }
    merged.expiry = merged_expiry(&tables, &kept, now_s);
    merged
}

/// The runs as stretches, and all the keys where one begins or ends, ascending.
fn sources<'a>(runs: &[Vec<&'a Content>]) -> (Vec<Source<'a>>, Vec<f64>) {
    let (mut table, mut bounds) = (0, Vec::new());
    let mut sources = Vec::with_capacity(runs.len());
    for run in runs {
        let mut stretches = Vec::with_capacity(run.len());
        for content in run {
            for (span, shares) in content.spans() {
                bounds.extend([span.from, span.to]);
                stretches.push(Stretch { span, shares, table });
            }
            table += 1;
        }
        sources.push(Source { stretches, at: 0 });
    }
    bounds.sort_unstable_by(f64::total_cmp);
    bounds.dedup();
    (sources, bounds)
}

impl<'a> Source<'a> {
    /// The stretch where `key` lies. Keys must not descend from call to call.
    fn seek(&mut self, key: f64) -> Option<&Stretch<'a>> {
        while self.stretches.get(self.at).is_some_and(|stretch| stretch.span.to <= key) {
            self.at += 1;
        }
        self.stretches.get(self.at).filter(|stretch| stretch.span.from <= key)
    }
}

/// Most steps of an expiry histogram, as in a table's properties.
const EXPIRY_STEPS: usize = 32;

impl Content {
    fn expired_share(&self, now_s: u64) -> f64 {
        let all: f64 = self.expiry.iter().map(|(_, entries)| entries).sum();
        let past = self.expiry.iter().take_while(|(by_s, _)| *by_s <= now_s);
        let past: f64 = past.map(|(_, entries)| entries).sum();
        if all > 0.0 { past / all } else { 0.0 }
    }
}

/// The inputs' histograms, of what has not expired, in proportion to what the merge kept of each.
fn merged_expiry(tables: &[&Content], kept: &[f64], now_s: u64) -> Vec<(u64, f64)> {
    let mut steps: Vec<(u64, f64)> = Vec::new();
    for (table, kept) in tables.iter().zip(kept) {
        let stays = table.expiry.iter().filter(|(by_s, _)| *by_s > now_s);
        let all: f64 = stays.clone().map(|(_, entries)| entries).sum();
        if all > 0.0 {
            steps.extend(stays.map(|(by_s, entries)| (*by_s, entries * kept / all)));
        }
    }
    steps.sort_unstable_by_key(|(by_s, _)| *by_s);
    while steps.len() > EXPIRY_STEPS {
        // Neighbours join; what was to go earlier now counts as going later.
        let joined = steps.chunks(2).map(|pair| {
            let entries = pair.iter().map(|(_, entries)| entries).sum();
            (pair[pair.len() - 1].0, entries)
        });
        steps = joined.collect();
    }
    steps
}

impl Content {
    /// Cuts a run into tables of about `table_bytes`. What falls between two keys is a matter of
    /// chance, so real tables of equal size do not end at equal keys: `jitter` is drawn for each
    /// cut, with mean 0 and variance 1.
    pub fn cut(
        self,
        table_bytes: f64,
        classes: &[Class],
        load: &Workload,
        mut jitter: impl FnMut() -> f64,
    ) -> Vec<Content> {
        let mut tables = Vec::new();
        let mut open = Content::default();
        let mut room = None;
        for (mut span, shares) in self.spans() {
            let here = density(shares, classes, load);
            if here.bytes <= 0.0 {
                continue;
            }
            loop {
                let left = room.get_or_insert_with(|| {
                    let entries = table_bytes / here.bytes * here.entries;
                    let spread = ((1.0 - here.entries).max(0.0) / entries.max(1.0)).sqrt();
                    table_bytes * (1.0 + jitter() * spread).max(0.5)
                });
                let fits = *left / here.bytes;
                if span.from + fits >= span.to {
                    open.push(span, shares);
                    *left -= (span.to - span.from) * here.bytes;
                    break;
                }
                let middle = span.from + fits;
                if middle > span.from {
                    open.push(Span { from: span.from, to: middle }, shares);
                }
                tables.push(std::mem::take(&mut open));
                (span.from, room) = (middle, None);
            }
        }
        if !open.spans.is_empty() {
            tables.push(open);
        }
        share_expiry(&self.expiry, &mut tables, classes, load);
        tables
    }
}

/// Every table gets its part of the run's histogram.
fn share_expiry(expiry: &[(u64, f64)], tables: &mut [Content], classes: &[Class], load: &Workload) {
    if expiry.is_empty() {
        return;
    }
    let entries = |table: &Content| table.weight(classes, load).entries;
    let all: f64 = tables.iter().map(entries).sum();
    for table in tables {
        let part = entries(table) / all.max(f64::MIN_POSITIVE);
        table.expiry = expiry.iter().map(|(by_s, entries)| (*by_s, entries * part)).collect();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn written(from: f64, to: f64, written: f32) -> Content {
        Content::even(from, to, vec![Share { written, ..Share::default() }])
    }

    fn filled(filled: f32) -> Content {
        Content::even(0.0, 100.0, vec![Share { filled, ..Share::default() }])
    }

    fn shares(content: &Content) -> Vec<(f64, f64, f32)> {
        let all = |share: &Share| share.filled + share.written + share.deleted;
        content.spans().map(|(span, shares)| (span.from, span.to, all(&shares[0]))).collect()
    }

    #[test]
    fn chance_overlaps_and_the_fill_adds_up() {
        let (newer, older) = (written(20.0, 60.0, 0.5), written(0.0, 50.0, 0.4));
        let merged = merge(&[vec![&newer], vec![&older]], &Cover::default(), 0);
        let wanted = [(0.0, 20.0, 0.4), (20.0, 50.0, 0.7), (50.0, 60.0, 0.5)];
        assert_eq!(shares(&merged), wanted);
        let (a, b) = (filled(0.25), filled(0.5));
        let both = merge(&[vec![&a], vec![&b]], &Cover::default(), 0);
        assert_eq!(shares(&both), [(0.0, 100.0, 0.75)]);
        let over = merge(&[vec![&written(0.0, 100.0, 0.5)], vec![&both]], &Cover::default(), 0);
        assert_eq!(shares(&over), [(0.0, 100.0, 0.875)]);
    }

    #[test]
    fn tombstones_go_where_nothing_lies_beneath() {
        let share = Share { filled: 0.0, written: 0.0, deleted: 0.5 };
        let tombstones = Content::even(0.0, 100.0, vec![share]);
        let beneath = filled(0.8);
        let cover = Cover::new(vec![Span { from: 0.0, to: 50.0 }]);
        let merged = merge(&[vec![&tombstones], vec![&beneath]], &cover, 0);
        // Half of the keys were deleted; over the cover's half of the stretch they must stay.
        assert_eq!(shares(&merged), [(0.0, 100.0, 0.4 + 0.25)]);
    }

    #[test]
    fn what_expired_goes_with_what_it_covers() {
        let (mut newer, mut older) = (written(0.0, 100.0, 0.5), filled(0.8));
        newer.expiry = vec![(10, 25.0), (99, 25.0)];
        older.expiry = vec![(10, 80.0)];
        let merged = merge(&[vec![&newer], vec![&older]], &Cover::default(), 10);
        assert_eq!(shares(&merged), [(0.0, 100.0, 0.25)]);
        assert_eq!(merged.expiry, [(99, 25.0)]);
    }

    #[test]
    fn tables_are_cut_at_their_size_and_lose_nothing() {
        let load = super::super::tests::workload();
        let classes = [Class { share: 1.0, chance: 0.01 }];
        let mut run = written(0.0, 50.0, 0.5);
        run.append(written(70.0, 100.0, 1.0));
        let all = run.weight(&classes, &load);
        let tables = run.cut(10.0 * load.entry_bytes(), &classes, &load, || 0.0);
        let entries: Vec<f64> =
            tables.iter().map(|table| table.weight(&classes, &load).entries).collect();
        assert_eq!(entries.len(), 6);
        assert!(entries[..5].iter().all(|entries| (entries - 10.0).abs() < 1e-9), "{entries:?}");
        assert!((entries.iter().sum::<f64>() - all.entries).abs() < 1e-9);
        assert_eq!(tables[2].ends(), Some((40.0, 75.0)));
    }
}
