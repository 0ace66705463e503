//! `quorate get`: the value's bytes on standard output, its version on standard error.

use super::access::{KeyArgs, failed};
use super::{FAILED, print, print_json, say};
use crate::token;
use quorate_strategies::conflict::{Answer, Shown};
use serde_json::{Value, json};
use std::io::IsTerminal;
use std::process::ExitCode;

/// Read a key: the value on standard output, its version and context on standard error
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    key: KeyArgs,
}

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Args { key } = args;
    let options = key.options(None);
    let asked = key.access.with_client(async |client| client.get(key.key(), &options).await)?;
    let answer = match asked {
        Ok(answer) => answer,
        Err(failure) => return failed(&key.access, &failure, false),
    };
    if key.access.json {
        print_json(&as_json(&key.key, &answer))?;
    } else {
        as_text(&answer)?;
    }
    let found = !answer.values.is_empty();
    Ok(if found { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}

fn as_text(answer: &Answer) -> anyhow::Result<()> {
    match answer.values.as_slice() {
        [] => say("not found"),
        [only] => {
            let mut bytes = only.payload.value.to_vec();
            if std::io::stdout().is_terminal() && !bytes.ends_with(b"\n") {
                bytes.push(b'\n');
            }
            print(bytes)?;
            say(format!("version: {}", token::encode(&only.version.0)));
        }
        siblings => {
            for (index, sibling) in siblings.iter().enumerate() {
                print(listed(index + 1, siblings.len(), sibling))?;
            }
            say(format!(
                "{} siblings of concurrent writes: reconcile them and put that with --context",
                siblings.len()
            ));
        }
    }
    if !answer.context.is_empty() {
        say(format!("context: {}", token::encode(&answer.context)));
    }
    Ok(())
}

fn listed(number: usize, count: usize, sibling: &Shown) -> Vec<u8> {
    let version = token::encode(&sibling.version.0);
    let mut bytes = format!("sibling {number} of {count}, version {version}:\n").into_bytes();
    bytes.extend_from_slice(&sibling.payload.value);
    bytes.push(b'\n');
    bytes
}

fn as_json(key: &str, answer: &Answer) -> Value {
    let values = answer.values.iter().map(shown_as_json).collect::<Vec<_>>();
    json!({ "key": key, "values": values, "context": token::encode(&answer.context) })
}

/// A value that is no text stands as base64 under another name, so that nobody mistakes one for the
/// other.
fn shown_as_json(shown: &Shown) -> Value {
    let payload = &shown.payload;
    let (name, value) = match std::str::from_utf8(&payload.value) {
        Ok(text) => ("value", text.to_string()),
        Err(_) => ("value_base64", token::encode(&payload.value)),
    };
    json!({
        name: value,
        "content_type": String::from_utf8_lossy(&payload.content_type),
        "flags": payload.flags,
        "expires_at_ms": payload.expires_at_ms,
        "version": token::encode(&shown.version.0),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use bytes::Bytes;
    use quorate_strategies::conflict::{Payload, Version};

    fn shown(value: &'static [u8]) -> Shown {
        let payload = Payload {
            value: Bytes::from_static(value),
            content_type: Bytes::new(),
            flags: 0,
            expires_at_ms: None,
        };
        Shown { payload, version: Version(Bytes::from_static(b"v")) }
    }

    #[test]
    fn siblings_are_listed_with_their_versions() {
        let text = String::from_utf8(listed(1, 2, &shown(b"blue"))).unwrap();
        assert_eq!(text, "sibling 1 of 2, version dg:\nblue\n");
    }

    #[test]
    fn json_tells_text_from_bytes() {
        let values = vec![shown(b"blue"), shown(&[0xff])];
        let document = as_json("k", &Answer { values, context: Bytes::from_static(b"c") });
        assert_eq!(document["values"][0]["value"], "blue");
        assert_eq!(document["values"][1]["value_base64"], "_w");
        assert_eq!(document["context"], "Yw");
    }
}
