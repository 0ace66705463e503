//! `quorate list`: everything that YAML can name, straight from the registries.

use super::text::{width, wrap};
use super::{print, print_json};
use quorate_strategies::{Compaction, Conflict, Detection, Family, Partitioning, nearest};
use quorate_workloads::Workload;
use serde_json::{Value, json};
use std::process::ExitCode;

/// List strategies and workloads: what each decides, where it comes from, its parameters
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only this family: partitioning, conflict, compaction, detection, or workloads
    #[arg(value_name = "FAMILY")]
    family: Option<String>,
    /// Print one JSON document instead of text
    #[arg(long)]
    json: bool,
}

/// One family, without its types.
struct Section {
    name: &'static str,
    question: &'static str,
    default: &'static str,
    rows: Vec<Row>,
}

struct Row {
    name: &'static str,
    about: String,
    source: &'static str,
    parameters: Vec<Parameter>,
}

struct Parameter {
    name: &'static str,
    default: Value,
    about: &'static str,
}

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let mut sections = sections()?;
    if let Some(wanted) = &args.family {
        let names: Vec<_> = sections.iter().map(|section| section.name).collect();
        sections.retain(|section| section.name == wanted);
        if sections.is_empty() {
            let near = nearest(wanted, names.iter().copied());
            let hint = near.map(|name| format!(" (did you mean `{name}`?)")).unwrap_or_default();
            anyhow::bail!("unknown family `{wanted}`{hint}; known: {}", names.join(", "));
        }
    }
    if args.json {
        print_json(&sections.iter().map(as_json).collect())?;
    } else {
        let width = width();
        let texts: Vec<_> = sections.iter().map(|section| as_text(section, width)).collect();
        print(texts.join("\n"))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn sections() -> anyhow::Result<Vec<Section>> {
    Ok(vec![
        section::<Partitioning>(),
        section::<Conflict>(),
        section::<Compaction>(),
        section::<Detection>(),
        workloads()?,
    ])
}

fn section<F: Family>() -> Section {
    let rows = F::entries().iter().map(|entry| {
        let defaults = (entry.defaults)();
        let parameters = entry.parameters.iter().map(|parameter| Parameter {
            name: parameter.name,
            default: defaults.get(parameter.name).cloned().unwrap_or(Value::Null),
            about: parameter.about,
        });
        Row {
            name: entry.name,
            about: entry.about.to_string(),
            source: entry.paper,
            parameters: parameters.collect(),
        }
    });
    Section { name: F::NAME, question: F::ABOUT, default: F::DEFAULT, rows: rows.collect() }
}

fn workloads() -> anyhow::Result<Section> {
    let row = |name: &&'static str| {
        let workload = Workload::named(name)?;
        let mix = workload.proportions.named();
        let parts: Vec<String> = mix
            .iter()
            .filter(|(_, share)| *share > 0.0)
            .map(|(kind, share)| format!("{:.0} % {kind}", 100.0 * share))
            .collect();
        let source = "Cooper et al., SoCC 2010, table 2; YCSB's CoreWorkload";
        Ok(Row { name, about: parts.join(", "), source, parameters: Vec::new() })
    };
    let rows: anyhow::Result<Vec<Row>> = quorate_workloads::NAMES.iter().map(row).collect();
    let question = "What do the clients of an experiment ask for?";
    Ok(Section { name: "workloads", question, default: "", rows: rows? })
}

fn as_text(section: &Section, width: usize) -> String {
    let mut text = wrap(&format!("{}: {}", section.name, section.question), 0, 2, width);
    for row in &section.rows {
        let mark = if row.name == section.default { " (default)" } else { "" };
        text.push_str(&format!("\n  {}{mark}\n", row.name));
        text.push_str(&wrap(&row.about, 4, 0, width));
        text.push_str(&wrap(&format!("Source: {}", row.source), 4, 2, width));
        for parameter in &row.parameters {
            let Parameter { name, default, about } = parameter;
            text.push_str(&wrap(&format!("{name} = {default}: {about}"), 6, 4, width));
        }
    }
    text
}

fn as_json(section: &Section) -> Value {
    let rows = section.rows.iter().map(|row| {
        let parameters = row.parameters.iter().map(|parameter| {
            json!({
                "name": parameter.name,
                "default": parameter.default,
                "about": parameter.about,
            })
        });
        json!({
            "name": row.name,
            "default": row.name == section.default,
            "about": row.about,
            "source": row.source,
            "parameters": parameters.collect::<Vec<_>>(),
        })
    });
    json!({
        "family": section.name,
        "question": section.question,
        "entries": rows.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_strategy_stands_with_its_source_and_its_defaults() {
        for section in sections().unwrap() {
            let text = as_text(&section, 100);
            assert!(!section.rows.is_empty(), "{}", section.name);
            for row in &section.rows {
                assert!(text.contains(&format!("\n  {}", row.name)), "{text}");
                assert!(!row.about.is_empty() && !row.source.is_empty(), "{}", row.name);
                for parameter in &row.parameters {
                    let line = format!("{} = {}:", parameter.name, parameter.default);
                    assert!(text.contains(&line), "{line} in {text}");
                    assert!(!parameter.default.is_null(), "{line} has a default");
                }
            }
        }
    }

    #[test]
    fn text_reads_well() {
        let parameter = Parameter { name: "per_node", default: json!(8), about: "Tokens." };
        let rows = vec![Row {
            name: "ring",
            about: "Walks clockwise.".to_string(),
            source: "A paper",
            parameters: vec![parameter],
        }];
        let section = Section { name: "family", question: "Who?", default: "ring", rows };
        assert_eq!(
            as_text(&section, 80),
            "family: Who?\n\n  ring (default)\n    Walks clockwise.\n    Source: A paper\n      \
             per_node = 8: Tokens.\n"
        );
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        for section in sections().unwrap() {
            let text = as_text(&section, 60);
            let unbreakable = |line: &str| line.trim().split(' ').count() == 1;
            let long = text.lines().find(|line| line.chars().count() > 60 && !unbreakable(line));
            assert_eq!(long, None);
        }
    }

    #[test]
    fn a_near_miss_is_named() {
        let args = Args { family: Some("conflicts".to_string()), json: false };
        let error = run(args).unwrap_err().to_string();
        assert!(error.contains("did you mean `conflict`?"), "{error}");
    }
}
