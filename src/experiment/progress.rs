//! What a person sees while it runs: a bar on a terminal, plain lines elsewhere. All of it on
//! stderr.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{IsTerminal, Write};
use std::time::Duration;

/// Progress of one run.
pub struct Progress {
    /// None: plain lines.
    bar: Option<ProgressBar>,
}

impl Progress {
    /// For a terminal if stderr is one.
    pub fn new() -> Progress {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar =
                ProgressBar::with_draw_target(Some(100), ProgressDrawTarget::stderr_with_hz(5));
            let style = ProgressStyle::with_template("{prefix} {bar:30} {percent:>3} % {msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
        });
        Progress { bar }
    }

    /// A line that stays.
    pub fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.println(line),
            // Nobody may be reading; that must not end a measurement.
            None => drop(writeln!(std::io::stderr(), "{line}")),
        }
    }

    /// A step begins: said on a plain stream, shown in front of the bar on a terminal.
    pub fn step(&self, what: &str) {
        match &self.bar {
            Some(bar) => {
                bar.set_prefix(what.to_string());
                bar.set_message("");
                bar.set_position(0);
            }
            None => self.say(what),
        }
    }

    /// How far the step is, 0 to 1, and what is to be said of it now.
    pub fn at(&self, part: f64, message: impl FnOnce() -> String) {
        if let Some(bar) = &self.bar {
            bar.set_position((part.clamp(0.0, 1.0) * 100.0) as u64);
            bar.set_message(message());
        }
    }

    pub fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Default for Progress {
    fn default() -> Self {
        Progress::new()
    }
}

/// `3 min 20 s`, `45 s`.
pub fn length(duration: Duration) -> String {
    let seconds = duration.as_secs_f64().round() as u64;
    match (seconds / 60, seconds % 60) {
        (0, seconds) => format!("{seconds} s"),
        (minutes, 0) => format!("{minutes} min"),
        (minutes, seconds) => format!("{minutes} min {seconds} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_read_easily() {
        for (seconds, text) in
            [(0.4, "0 s"), (59.6, "1 min"), (45.0, "45 s"), (200.0, "3 min 20 s")]
        {
            assert_eq!(length(Duration::from_secs_f64(seconds)), text);
        }
    }
}
