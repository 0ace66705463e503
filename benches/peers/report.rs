//! The tables, and the cells as files.

use crate::Outcome;
use crate::cell::Measurement;
use crate::row::Row;
use crate::settings::Flags;
use crate::stores::Kind;
use std::fmt::Write;
use std::fs;
use std::path::Path;

/// Writes the tables and each cell; the folder is made.
pub fn save(folder: &Path, report: &str, cells: &[Measurement]) -> Outcome<()> {
    fs::create_dir_all(folder)?;
    fs::write(folder.join("report.md"), report)?;
    fs::write(folder.join("cells.json"), serde_json::to_vec_pretty(cells)?)?;
    let mut csv = csv::Writer::from_path(folder.join("cells.csv"))?;
    for cell in cells {
        csv.serialize(cell)?;
    }
    csv.flush()?;
    eprintln!("written to {}", folder.display());
    Ok(())
}

/// Both tables for each size of values, and below them what was set.
pub fn render(flags: &Flags, machine: &str, cells: &[Measurement]) -> String {
    let mut text = String::new();
    for &bytes in flags.sizes() {
        let table = Table { flags, bytes: flags.settings(bytes).value_bytes, cells };
        text += &table.title();
        text += &table.ratios();
        text += &table.details();
    }
    text += &foot(flags, machine, cells);
    text
}

struct Table<'a> {
    flags: &'a Flags,
    bytes: usize,
    cells: &'a [Measurement],
}

/// Median and range of one figure over the rounds.
struct Spread {
    median: f64,
    least: f64,
    most: f64,
}

fn spread(figures: impl Iterator<Item = f64>) -> Option<Spread> {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_by(f64::total_cmp);
    let (least, most) = (*figures.first()?, *figures.last()?);
    let middle = figures.len() / 2;
    let upper = figures[middle];
    let median = if figures.len() % 2 == 1 { upper } else { (figures[middle - 1] + upper) / 2.0 };
    Some(Spread { median, least, most })
}

impl Table<'_> {
    fn of(&self, row: Row, store: Kind) -> impl Iterator<Item = &Measurement> + Clone {
        let bytes = self.bytes;
        self.cells
            .iter()
            .filter(move |cell| (cell.row, cell.store, cell.value_bytes) == (row, store, bytes))
    }

    fn figure(&self, row: Row, store: Kind) -> Option<Spread> {
        spread(self.of(row, store).map(|cell| cell.figure))
    }

    fn title(&self) -> String {
        let settings = self.flags.settings(self.bytes);
        let rounds = self.flags.rounds();
        format!(
            "\n## Values of {} B, {} records, median of {rounds} round{}\n",
            self.bytes,
            thousands(settings.records as f64),
            if rounds == 1 { "" } else { "s" }
        )
    }

    /// Our median over that of the best peer, and how far the rounds' own ratios lie apart.
    fn ratio(&self, row: Row) -> Option<Spread> {
        let ours = self.figure(row, Kind::Quorate)?.median;
        let peers = self.flags.stores.iter().filter(|store| store.is_peer());
        let better = |figure: f64| if row.lower_is_better() { -figure } else { figure };
        let (theirs, best) = peers
            .filter_map(|&store| Some((self.figure(row, store)?.median, store)))
            .max_by(|(one, _), (other, _)| better(*one).total_cmp(&better(*other)))?;
        let same_round = |cell: &Measurement| {
            self.of(row, best).find(|peer| peer.round == cell.round).map(|peer| peer.figure)
        };
        let by_round =
            self.of(row, Kind::Quorate).filter_map(|cell| Some(cell.figure / same_round(cell)?));
        Some(Spread { median: ours / theirs, ..spread(by_round)? })
    }

    fn ratios(&self) -> String {
        let mut text = "\n| operations/s |".to_string();
        let stores = &self.flags.stores;
        stores.iter().for_each(|store| text += &format!(" {} |", store.name()));
        text += " ours / best | by round | goal | met |\n|---|";
        text += &"---:|".repeat(stores.len() + 4);
        text.push('\n');
        for &row in self.flags.rows() {
            let unit = if row.lower_is_better() { " (ms)" } else { "" };
            let _ = write!(text, "| {}{unit} |", row.name());
            for &store in stores {
                let figure = self.figure(row, store).map(|found| thousands(found.median));
                let _ = write!(text, " {} |", figure.unwrap_or("-".into()));
            }
            text += &self.verdict(row);
        }
        text
    }

    fn verdict(&self, row: Row) -> String {
        let goal = row.goal();
        let sign = if row.lower_is_better() { "≤" } else { "≥" };
        let Some(Spread { median, least, most }) = self.ratio(row) else {
            return format!(" - | - | {sign} {goal:.1} | - |\n");
        };
        let met = if row.lower_is_better() { median <= goal } else { median >= goal };
        let met = if met { "yes" } else { "no" };
        format!(" {median:.2} | {least:.2} to {most:.2} | {sign} {goal:.1} | {met} |\n")
    }

    fn details(&self) -> String {
        let mut text = "\n| row | store | least to most | CPU µs | p50 µs | p99 µs | longest ms | \
            worst second / median | \
            write amp. | of tables | settle s | peak RSS MiB | others' CPU % |\n\
            |---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n"
            .to_string();
        for &row in self.flags.rows() {
            for &store in &self.flags.stores {
                text += &self.detail(row, store).unwrap_or_default();
            }
        }
        text
    }

    fn detail(&self, row: Row, store: Kind) -> Option<String> {
        let cells = self.of(row, store);
        let median = |pick: fn(&Measurement) -> Option<f64>| {
            spread(cells.clone().filter_map(pick)).map(|found| found.median)
        };
        let most = |pick: fn(&Measurement) -> f64| cells.clone().map(pick).fold(0.0, f64::max);
        let figure = self.figure(row, store)?;
        let beside = median(|cell| cell.writes_beside);
        let name = match beside {
            Some(writes) => format!("{} (writes/s {})", row.name(), thousands(writes)),
            None => row.name(),
        };
        let worst = spread(cells.clone().filter_map(|cell| cell.worst_second_over_median));
        let shown = |figure: Option<f64>| figure.map_or("-".into(), |found| format!("{found:.2}"));
        let latency = |figure: Option<f64>| match figure {
            Some(found) if found > 0.0 => format!("{found:.1}"),
            _ => "-".to_string(),
        };
        Some(format!(
            "| {name} | {} | {} to {} | {} | {} | {} | {} | {} | {} | {} | {} | {:.0} | {:.0} |\n",
            store.name(),
            thousands(figure.least),
            thousands(figure.most),
            shown(median(|cell| Some(cell.cpu_us))),
            latency(median(|cell| Some(cell.p50_us))),
            latency(median(|cell| Some(cell.p99_us))),
            latency(Some(most(|cell| cell.longest_ms))),
            shown(worst.map(|found| found.least)),
            shown(median(|cell| cell.write_amplification)),
            shown(median(|cell| cell.table_write_amplification)),
            shown(median(|cell| cell.settle_s)),
            most(|cell| cell.peak_rss_mib),
            most(|cell| cell.others_percent),
        ))
    }
}

fn foot(flags: &Flags, machine: &str, cells: &[Measurement]) -> String {
    let settings = flags.settings(flags.value_bytes[0]);
    let command: Vec<String> = std::env::args().skip(1).collect();
    let loads = spread(cells.iter().map(|cell| cell.load_before));
    let loads = loads.map_or(String::new(), |found| format!("{} to {}", found.least, found.most));
    let mut text = format!(
        "\nMachine: {machine}. Command: `cargo bench --features peers --bench peers -- {}`.\n\
         All stores: keys of {} B, memtable {} MiB (recovery: {} times the log of {} MiB), Bloom \
         filters of {} bits, block cache {} MiB, blocks of {} KiB, compression {:?}, checksums \
         on, one record to a commit.\n\
         Durability: a put waits for `write(2)`, which `kill -9` cannot take back; in the `sync` \
         rows for `fdatasync`.\n\
         CPU is that of all threads of the process for each operation, compactions included.\n\
         Rows by time take {} s after a warm-up of equally many reads. Longest, peak RSS and \
         others' CPU (what else kept the machine busy) are the most of all rounds, the worst \
         second is the least. Load averages before the cells, each counting the cells before: \
         {loads}.\n\
         Write amplification: bytes that the process made the system write to the disk, by pages \
         and with the log, until compactions rested, over the user's bytes.\n",
        command.join(" "),
        crate::data::KEY_BYTES,
        settings.memtable_mib,
        crate::runner::RECOVERY_MEMTABLE,
        settings.recovery_mib,
        settings.bloom_bits,
        settings.cache_mib,
        settings.block_kib,
        settings.compression,
        settings.seconds,
    );
    for store in &flags.stores {
        let _ = writeln!(text, "* {}: {}.", store.name(), store.about());
    }
    text
}

/// 1234567.8 as 1,234,568; small figures with their decimals.
fn thousands(figure: f64) -> String {
    if figure < 100.0 {
        return format!("{figure:.1}");
    }
    let digits = format!("{figure:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
