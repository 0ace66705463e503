//! A scenario's file: blocks of statements, each followed by what it let happen.
//!
//! ```text
//!   # A comment.
//!   put n1 color red         statements, up to `---` or an empty line
//!   get n2 color
//!   get n2 color \
//!     level=one              one statement, on two lines
//!   ---
//!        0.550 ms  …         what they showed, up to an empty line; not read, but written anew
//! ```
//!
//! A file without any `---` is one, too: what exploration prints is played by the same player.

use super::look::shown;
use super::parse::{BadLine, Wrong, statement};
use super::{Player, Statement, Stopped, Watch};

/// A file that parses.
#[derive(Clone, Debug, PartialEq)]
pub struct Script {
    pub blocks: Vec<Block>,
}

/// Statements that are shown together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Block {
    /// The lines as they stand, comments among them.
    pub lines: Vec<String>,
    /// With their line numbers, from 1.
    pub statements: Vec<(usize, Statement)>,
}

/// A scenario that could not be played to its end.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("line {line}: `{statement}`: {stopped}")]
pub struct Halted {
    pub line: usize,
    pub statement: Box<Statement>,
    pub stopped: Stopped,
}

impl Script {
    /// # Errors
    /// The first line that is no statement, names a node that does not exist, or stands in the
    /// wrong place.
    pub fn parse(text: &str) -> Result<Script, BadLine> {
        let mut script = Script { blocks: Vec::new() };
        let (mut block, mut output, mut nodes) = (Block::default(), false, None);
        let mut long = Long::default();
        for (index, line) in text.lines().enumerate() {
            let number = index + 1;
            if line.trim().is_empty() && !long.goes_on() {
                script.blocks.push(std::mem::take(&mut block));
                output = false;
                continue;
            }
            if output {
                continue;
            }
            output = line.trim_end() == "---";
            if output {
                if block.statements.is_empty() {
                    let problem = "found `---`; allowed: a statement, whose output it begins";
                    return Err(Wrong::new(1, problem).on(number));
                }
                continue;
            }
            block.lines.push(line.trim_end().to_string());
            long.push(number, line);
            if long.goes_on() {
                continue;
            }
            let long = std::mem::take(&mut long);
            let found = statement(&long.text, nodes).map_err(|wrong| long.place(wrong))?;
            if let Some(found) = found {
                nodes = Some(in_place(&found, nodes).map_err(|wrong| long.place(wrong))?);
                block.statements.push((long.first(), found));
            }
        }
        if long.goes_on() {
            let end = long.text.chars().count();
            return Err(long.place(Wrong::new(end, "the file ends; allowed: a line after `\\`")));
        }
        script.blocks.push(block);
        script.blocks.retain(|block| !block.lines.is_empty());
        match nodes {
            Some(_) => Ok(script),
            None => Err(Wrong::new(1, "found no statement; allowed: `cluster` first").on(1)),
        }
    }

    /// All statements, in order.
    pub fn statements(&self) -> impl Iterator<Item = &Statement> {
        self.blocks.iter().flat_map(|block| block.statements.iter().map(|(_, it)| it))
    }

    /// Sets the seed of the cluster, in the text, too.
    pub fn reseed(&mut self, seed: u64) {
        let Some(block) = self.blocks.iter_mut().find(|block| !block.statements.is_empty()) else {
            return;
        };
        if let Some((_, Statement::Cluster(setup))) = block.statements.first_mut() {
            setup.0.retain(|(name, _)| name != "seed");
            setup.0.push(("seed".to_string(), seed.to_string()));
            let begins = |line: &String| line.trim_start().starts_with("cluster");
            let Some(first) = block.lines.iter().position(begins) else { return };
            let more = block.lines[first..].iter().take_while(|line| line.ends_with('\\')).count();
            block.lines.splice(first..=first + more, [setup.to_string()]);
        }
    }

    /// Plays all of it and hands out the file as it should be, block by block.
    ///
    /// # Errors
    /// The statement that the player could not get past. It is the last one that is handed out.
    pub fn play<W: Watch>(
        &self,
        player: &mut Player<W>,
        mut emit: impl FnMut(&str),
    ) -> Result<(), Halted> {
        for (index, block) in self.blocks.iter().enumerate() {
            let mut text = if index == 0 { String::new() } else { "\n".to_string() };
            block.lines.iter().for_each(|line| add(&mut text, line));
            if block.statements.is_empty() {
                emit(&text);
                continue;
            }
            add(&mut text, "---");
            let played = block.play(player, &mut text);
            emit(&text);
            played?;
        }
        Ok(())
    }
}

/// A statement's lines: one that ends with `\` goes on in the next.
#[derive(Default)]
struct Long {
    text: String,
    /// Line numbers, and the characters of the text before each line.
    lines: Vec<(usize, usize)>,
    goes_on: bool,
}

impl Long {
    fn push(&mut self, number: usize, line: &str) {
        self.lines.push((number, self.text.chars().count()));
        let line = line.trim_end();
        let rest = line.strip_suffix('\\').filter(|rest| rest.ends_with(' '));
        self.goes_on = rest.is_some() && !line.trim_start().starts_with('#');
        self.text.push_str(if self.goes_on { rest.unwrap_or(line) } else { line });
    }

    fn goes_on(&self) -> bool {
        self.goes_on
    }

    fn first(&self) -> usize {
        self.lines.first().map_or(1, |line| line.0)
    }

    fn place(&self, wrong: Wrong) -> BadLine {
        let before = |line: &&(usize, usize)| line.1 < wrong.column;
        let (number, start) = self.lines.iter().rev().find(before).copied().unwrap_or((1, 0));
        Wrong { column: wrong.column - start, ..wrong }.on(number)
    }
}

fn add(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

/// The size of the cluster, where the statement may stand here.
fn in_place(statement: &Statement, nodes: Option<u16>) -> Result<u16, Wrong> {
    match (statement, nodes) {
        (Statement::Cluster(setup), None) => {
            setup.config().map(|config| config.nodes).map_err(|bad| Wrong::new(1, bad.to_string()))
        }
        (Statement::Cluster(_), Some(_)) => {
            Err(Wrong::new(1, "found a second `cluster`; allowed: one, as the first statement"))
        }
        (_, Some(nodes)) => Ok(nodes),
        (_, None) => Err(Wrong::new(1, "the first statement begins no world; allowed: `cluster`")),
    }
}

impl Block {
    fn play<W: Watch>(&self, player: &mut Player<W>, text: &mut String) -> Result<(), Halted> {
        let before = text.len();
        for (line, statement) in &self.statements {
            let mut lines = Vec::new();
            let played = player.play_into(statement, &mut lines);
            if let Some(world) = player.world() {
                shown(world, &lines).iter().for_each(|line| add(text, line));
            }
            if let Err(stopped) = played {
                add(text, &format!("stopped at `{statement}`: {stopped}"));
                return Err(Halted {
                    line: *line,
                    statement: Box::new(statement.clone()),
                    stopped,
                });
            }
        }
        if text.len() == before {
            add(text, "ok");
        }
        Ok(())
    }
}
