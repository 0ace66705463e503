//! A scenario's file: blocks of statements, each followed by what it let happen.
//!
//! ```text
//!   # A comment.
//!   put n1 color red         statements, up to `---` or an empty line
//!   get n2 color
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
    pub statement: Statement,
    pub stopped: Stopped,
}

impl Script {
    /// # Errors
    /// The first line that is no statement, names a node that does not exist, or stands in the
    /// wrong place.
    pub fn parse(text: &str) -> Result<Script, BadLine> {
        let mut script = Script { blocks: Vec::new() };
        let (mut block, mut output, mut nodes) = (Block::default(), false, None);
        for (index, line) in text.lines().enumerate() {
            let number = index + 1;
            if line.trim().is_empty() {
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
            let found = statement(line, nodes).map_err(|wrong| wrong.on(number))?;
            if let Some(found) = found {
                nodes = Some(in_place(&found, nodes).map_err(|wrong| wrong.on(number))?);
                block.statements.push((number, found));
            }
            block.lines.push(line.trim_end().to_string());
        }
        script.blocks.push(block);
        script.blocks.retain(|block| !block.lines.is_empty());
        Ok(script)
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
            let line = block.lines.iter_mut().find(|it| it.trim_start().starts_with("cluster"));
            line.into_iter().for_each(|line| *line = setup.to_string());
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
                return Err(Halted { line: *line, statement: statement.clone(), stopped });
            }
        }
        if text.len() == before {
            add(text, "ok");
        }
        Ok(())
    }
}
