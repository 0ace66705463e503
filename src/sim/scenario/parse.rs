//! Text to statements: the inverse of their `Display`. Every refusal names line and column, what
//! was found, what is allowed, and the near word.

use super::setup::{NAMES, set_link};
use super::words::{Word, words};
use super::{Ask, DiskFault, Expect, Look, Setup, Statement, What};
use crate::level::Level;
use crate::sim::network::Link;
use crate::sim::text::{DURATION, duration};
use crate::sim::world::{End, Return};
use bytes::Bytes;
use quorate_strategies::{NodeId, nearest};

/// A line that is no statement.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {problem}")]
pub struct BadLine {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    pub problem: String,
}

/// The same before it is known which line it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    pub column: usize,
    pub problem: String,
}

impl Wrong {
    pub fn new(column: usize, problem: impl Into<String>) -> Self {
        Wrong { column, problem: problem.into() }
    }

    pub fn on(self, line: usize) -> BadLine {
        BadLine { line, column: self.column, problem: self.problem }
    }
}

/// Every verb with its whole line.
pub(super) const VERBS: &[(&str, &str)] = &[
    ("cluster", "cluster NAME=VALUE …"),
    ("put", "put NODE KEY VALUE [level= as= context= ttl= timeout=] [&]"),
    ("get", "get NODE KEY [level= as= timeout=] [&]"),
    ("delete", "delete NODE KEY [level= as= context= timeout=] [&]"),
    ("add", "add NODE KEY NUMBER [level= as= context= timeout=] [&]"),
    ("tick", "tick DURATION"),
    ("settle", "settle [DURATION]"),
    ("network", "network [delay= loss= duplicate= reorder= ordered= bytes_per_s=]"),
    ("link", "link NODE -> NODE [delay= loss= duplicate= reorder= ordered= bytes_per_s=]"),
    ("partition", "partition NODE … | NODE …"),
    ("cut", "cut NODE -> NODE"),
    ("heal", "heal"),
    ("hold", "hold NODE -> NODE"),
    ("release", "release NODE -> NODE"),
    ("crash", "crash NODE"),
    ("power_cut", "power_cut NODE"),
    ("restart", "restart NODE [empty] [epoch=NUMBER]"),
    ("pause", "pause NODE"),
    ("resume", "resume NODE"),
    ("clock", "clock NODE offset=±DURATION, or clock NODE drift=±NUMBERppm"),
    ("disk", "disk NODE slow=DURATION, or disk NODE full, free or rot"),
    ("stored", "stored NODE KEY"),
    ("status", "status NODE"),
    ("owners", "owners KEY"),
    (
        "expect",
        "expect NODE holds KEY VALUE … (or nothing), expect NODE sees NODE STANDING, or \
         expect replicas agree KEY",
    ),
];

const STANDINGS: [&str; 5] = ["unheard", "up", "suspect", "deaf", "down"];
const LINK_NAMES: [&str; 6] = ["delay", "loss", "duplicate", "reorder", "ordered", "bytes_per_s"];
/// How long a bare `settle` waits.
const SETTLE_US: u64 = 60_000_000;
const LEVEL: &str = "a level: one, two, quorum, all, or a number";

/// The statement of a line; None: an empty one, or a comment. `nodes` is the size of the cluster
/// where it is known.
pub(super) fn statement(line: &str, nodes: Option<u16>) -> Result<Option<Statement>, Wrong> {
    let words = words(line)?;
    let Some(verb) = words.first() else { return Ok(None) };
    let known = VERBS.iter().find(|(name, _)| verb.is(name));
    let Some((name, usage)) = known else {
        let names: Vec<&str> = VERBS.iter().map(|(name, _)| *name).collect();
        return Err(Wrong::new(verb.column, unknown(verb, &names)));
    };
    let end = line.trim_end().chars().count() + 1;
    let mut input = Line { words: &words[1..], at: 0, end, usage, nodes };
    let statement = input.statement(name)?;
    input.end()?;
    Ok(Some(statement))
}

/// What to say of a word that is none of these.
fn unknown(word: &Word, allowed: &[&str]) -> String {
    let said = word.name.clone().unwrap_or_else(|| word.text());
    let near = nearest(&said, allowed.iter().copied());
    let near = near.map_or(String::new(), |near| format!("did you mean `{near}`? "));
    format!("found {}; {near}allowed: {}", word.found(), allowed.join(", "))
}

/// The words of a line after its verb.
struct Line<'a> {
    words: &'a [Word],
    at: usize,
    /// The column where the line ends.
    end: usize,
    usage: &'static str,
    nodes: Option<u16>,
}

impl Line<'_> {
    fn statement(&mut self, verb: &str) -> Result<Statement, Wrong> {
        Ok(match verb {
            "cluster" => Statement::Cluster(self.setup()?),
            "put" | "get" | "delete" | "add" => Statement::Ask(self.ask(verb)?),
            "tick" => Statement::Tick(self.duration()?),
            "settle" => Statement::Settle { within_us: self.patience()? },
            "network" => Statement::Network(self.link()?),
            "link" => {
                let (from, to) = self.direction()?;
                Statement::Direction { from, to, link: self.link()? }
            }
            "partition" => self.partition()?,
            "heal" => Statement::Heal,
            "cut" | "hold" | "release" => {
                let (from, to) = self.direction()?;
                match verb {
                    "cut" => Statement::Cut { from, to },
                    "hold" => Statement::Hold { from, to },
                    _ => Statement::Release { from, to },
                }
            }
            "crash" => Statement::End { node: self.node()?, how: End::Crash },
            "power_cut" => Statement::End { node: self.node()?, how: End::PowerCut },
            "restart" => Statement::Start { node: self.node()?, how: self.coming_back()? },
            "pause" => Statement::Pause { node: self.node()? },
            "resume" => Statement::Resume { node: self.node()? },
            "clock" => self.clock()?,
            "disk" => Statement::Disk { node: self.node()?, what: self.disk()? },
            "stored" => {
                Statement::Look(Look::Stored { node: self.node()?, key: self.bytes("a key")? })
            }
            "status" => Statement::Look(Look::Status { node: self.node()? }),
            "owners" => Statement::Look(Look::Owners { key: self.bytes("a key")? }),
            _ => Statement::Expect(self.expect()?),
        })
    }

    fn peek(&self) -> Option<&Word> {
        self.words.get(self.at)
    }

    fn next(&mut self, wanted: &str) -> Result<Word, Wrong> {
        let Some(word) = self.words.get(self.at) else {
            let problem = format!("the line ends; allowed: {wanted}, as in `{}`", self.usage);
            return Err(Wrong::new(self.end, problem));
        };
        self.at += 1;
        Ok(word.clone())
    }

    fn end(&self) -> Result<(), Wrong> {
        let Some(word) = self.peek() else { return Ok(()) };
        Err(self.wrong(word, &format!("the end of the line, as in `{}`", self.usage)))
    }

    fn wrong(&self, word: &Word, allowed: &str) -> Wrong {
        Wrong::new(word.column, format!("found {}; allowed: {allowed}", word.found()))
    }

    /// A word that is not of the form `name=value`.
    fn plain(&mut self, wanted: &str) -> Result<Word, Wrong> {
        let word = self.next(wanted)?;
        match word.name {
            None => Ok(word),
            Some(_) => Err(self.wrong(&word, &format!("{wanted}; in quotes if it has a `=`"))),
        }
    }

    fn bytes(&mut self, wanted: &str) -> Result<Bytes, Wrong> {
        let word = self.plain(wanted)?;
        if word.is("&") {
            return Err(self.wrong(&word, wanted));
        }
        Ok(word.value.into())
    }

    /// One of these words.
    fn one_of(&mut self, allowed: &[&'static str]) -> Result<&'static str, Wrong> {
        let word = self.next(&allowed.join(", "))?;
        let found = allowed.iter().find(|name| word.is(name));
        found.copied().ok_or_else(|| Wrong::new(word.column, unknown(&word, allowed)))
    }

    fn node(&mut self) -> Result<NodeId, Wrong> {
        let most = self.nodes;
        let wanted = match most {
            Some(nodes) => format!("a node, n1 to n{nodes}"),
            None => "a node such as n1".to_string(),
        };
        let word = self.plain(&wanted)?;
        let number = || word.text().strip_prefix('n')?.parse::<u64>().ok().filter(|id| *id > 0);
        let known = |id: &u64| most.is_none_or(|nodes| *id <= u64::from(nodes));
        let plain = |id: &u64| !word.quoted && format!("n{id}") == word.text();
        let id = number().filter(known).filter(plain);
        id.map(NodeId).ok_or_else(|| self.wrong(&word, &wanted))
    }

    fn direction(&mut self) -> Result<(NodeId, NodeId), Wrong> {
        let from = self.node()?;
        let arrow = self.next("`->`")?;
        if !arrow.is("->") {
            return Err(self.wrong(&arrow, "`->`"));
        }
        let column = self.peek().map_or(self.end, |word| word.column);
        let to = self.node()?;
        match from == to {
            true => Err(Wrong::new(column, format!("found `{to}` twice; allowed: two nodes"))),
            false => Ok((from, to)),
        }
    }

    fn duration(&mut self) -> Result<u64, Wrong> {
        let word = self.plain(DURATION)?;
        duration(&word.text()).ok_or_else(|| self.wrong(&word, DURATION))
    }

    fn patience(&mut self) -> Result<u64, Wrong> {
        if self.peek().is_none() { Ok(SETTLE_US) } else { self.duration() }
    }

    /// The next word if it is `name=value` with one of these names.
    fn pair(&mut self, allowed: &[&str]) -> Result<Option<(String, Word)>, Wrong> {
        let Some(word) = self.peek().cloned() else { return Ok(None) };
        let Some(name) = word.name.clone() else { return Ok(None) };
        if !allowed.contains(&name.as_str()) {
            return Err(Wrong::new(word.column, unknown(&word, allowed)));
        }
        let earlier = self.words[..self.at].iter().any(|it| it.name.as_ref() == Some(&name));
        if earlier {
            return Err(self.wrong(&word, "each name once"));
        }
        self.at += 1;
        Ok(Some((name, word)))
    }

    fn setup(&mut self) -> Result<Setup, Wrong> {
        let mut setup = Setup::default();
        let mut columns = Vec::new();
        while let Some(word) = self.peek().cloned() {
            let Some(name) = &word.name else {
                return Err(self.wrong(&word, "NAME=VALUE"));
            };
            setup.0.push((name.clone(), word.text()));
            columns.push(word.column);
            self.at += 1;
        }
        match setup.config() {
            Ok(_) => Ok(setup),
            Err(bad) => {
                let column = columns.get(bad.index).copied().unwrap_or(1);
                Err(Wrong::new(column, bad.to_string()))
            }
        }
    }

    fn ask(&mut self, verb: &str) -> Result<Ask, Wrong> {
        let (node, key) = (self.node()?, self.bytes("a key")?);
        let (what, names) = match verb {
            "get" => (What::Get, &["level", "as", "timeout"][..]),
            "put" => {
                let value = What::Put(self.bytes("a value")?);
                (value, &["level", "as", "context", "ttl", "timeout"][..])
            }
            "delete" => (What::Delete, &["level", "as", "context", "timeout"][..]),
            _ => (What::Add(self.amount()?), &["level", "as", "context", "timeout"][..]),
        };
        let (level, name, context, ttl_ms, timeout_ms) = (None, None, None, None, None);
        let background = false;
        let mut ask = Ask { node, key, what, level, name, context, ttl_ms, timeout_ms, background };
        while let Some((name, word)) = self.pair(names)? {
            self.option(&mut ask, &name, &word)?;
        }
        ask.background = self.peek().is_some_and(|word| word.is("&"));
        self.at += usize::from(ask.background);
        Ok(ask)
    }

    fn option(&self, ask: &mut Ask, name: &str, word: &Word) -> Result<(), Wrong> {
        let text = word.text();
        let millis =
            || duration(&text).filter(|us| *us > 0 && us % 1_000 == 0).map(|us| us / 1_000);
        let whole = || self.wrong(word, &format!("whole milliseconds: {DURATION}"));
        match name {
            "level" => {
                let level = text.parse::<Level>().map_err(|_| self.wrong(word, LEVEL));
                ask.level = Some(level?);
            }
            "as" => ask.name = Some(text),
            "context" => ask.context = Some(text),
            "ttl" => ask.ttl_ms = Some(millis().ok_or_else(whole)?),
            _ => {
                let timeout_ms = millis().and_then(|ms| u32::try_from(ms).ok());
                ask.timeout_ms = Some(timeout_ms.ok_or_else(whole)?);
            }
        }
        Ok(())
    }

    fn amount(&mut self) -> Result<i64, Wrong> {
        let wanted = "a whole number";
        let word = self.plain(wanted)?;
        word.text().parse().map_err(|_| self.wrong(&word, wanted))
    }

    fn link(&mut self) -> Result<Link, Wrong> {
        let mut link = Link::default();
        while let Some((name, word)) = self.pair(&LINK_NAMES)? {
            let allowed = NAMES.iter().find(|(known, _)| *known == name).map_or("", |it| it.1);
            set_link(&mut link, &name, &word.text()).ok_or_else(|| self.wrong(&word, allowed))?;
        }
        Ok(link)
    }

    fn partition(&mut self) -> Result<Statement, Wrong> {
        let mut groups = vec![vec![self.node()?]];
        while let Some(word) = self.peek() {
            if word.is("|") {
                self.at += 1;
                groups.push(Vec::new());
            }
            let column = self.peek().map_or(self.end, |word| word.column);
            let node = self.node()?;
            if groups.iter().any(|group| group.contains(&node)) {
                let problem = format!("found `{node}` twice; allowed: each node in one group");
                return Err(Wrong::new(column, problem));
            }
            groups.last_mut().into_iter().for_each(|group| group.push(node));
        }
        if groups.len() < 2 {
            let problem =
                format!("the line ends; allowed: `|` and a second group, as in `{}`", self.usage);
            return Err(Wrong::new(self.end, problem));
        }
        Ok(Statement::Partition(groups))
    }

    fn coming_back(&mut self) -> Result<Return, Wrong> {
        let mut how = Return::default();
        if self.peek().is_some_and(|word| word.is("empty")) {
            self.at += 1;
            how.empty = true;
        }
        if let Some((_, word)) = self.pair(&["epoch"])? {
            let epoch = word.text().parse::<u64>().ok().filter(|epoch| *epoch > 0);
            how.epoch = Some(epoch.ok_or_else(|| self.wrong(&word, "a number from 1"))?);
        }
        Ok(how)
    }

    fn clock(&mut self) -> Result<Statement, Wrong> {
        let node = self.node()?;
        let Some((name, word)) = self.pair(&["offset", "drift"])? else {
            let word = self.next("offset=… or drift=…")?;
            return Err(Wrong::new(word.column, unknown(&word, &["offset", "drift"])));
        };
        let text = word.text();
        if name == "offset" {
            let (minus, rest) = signed(&text);
            let us = duration(rest).ok_or_else(|| {
                self.wrong(&word, "a duration with a sign, such as +500ms or -2s")
            })?;
            let us = us as i64 * if minus { -1 } else { 1 };
            return Ok(Statement::ClockOffset { node, us });
        }
        let ppm = text.strip_suffix("ppm").and_then(|ppm| ppm.parse::<i32>().ok());
        let ppm = ppm.filter(|ppm| (-500_000..=500_000).contains(ppm)).ok_or_else(|| {
            self.wrong(&word, "parts per million from -500000ppm to 500000ppm, such as 100ppm")
        })?;
        Ok(Statement::ClockDrift { node, ppm })
    }

    fn disk(&mut self) -> Result<DiskFault, Wrong> {
        if let Some((_, word)) = self.pair(&["slow"])? {
            let us = duration(&word.text()).ok_or_else(|| self.wrong(&word, DURATION))?;
            return Ok(DiskFault::Slow { us });
        }
        Ok(match self.one_of(&["full", "free", "rot"])? {
            "full" => DiskFault::Full,
            "free" => DiskFault::Free,
            _ => DiskFault::Rot,
        })
    }

    fn expect(&mut self) -> Result<Expect, Wrong> {
        if self.peek().is_some_and(|word| word.is("replicas")) {
            self.at += 1;
            self.one_of(&["agree"])?;
            return Ok(Expect::Agree { key: self.bytes("a key")? });
        }
        let node = self.node()?;
        if self.one_of(&["holds", "sees"])? == "sees" {
            let peer = self.node()?;
            let is = self.one_of(&STANDINGS)?.to_string();
            return Ok(Expect::Standing { node, peer, is });
        }
        let key = self.bytes("a key")?;
        if self.peek().is_some_and(|word| word.is("nothing")) {
            self.at += 1;
            return Ok(Expect::Stored { node, key, values: Vec::new() });
        }
        let mut values = vec![self.bytes("a value, or nothing")?];
        while self.peek().is_some() {
            values.push(self.bytes("a value")?);
        }
        values.sort();
        Ok(Expect::Stored { node, key, values })
    }
}

/// Whether a text begins with a minus, and what follows its sign.
fn signed(text: &str) -> (bool, &str) {
    match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    }
}
