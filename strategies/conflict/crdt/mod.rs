//! Replicated data types: concurrent changes merge into one value that holds them all.
//!
//! `type` chooses what every key of the cluster is:
//!
//! * `lww_register`: one value, the latest write wins. The baseline of the family.
//! * `g_counter`: a sum that only grows.
//! * `pn_counter`: a sum that grows and shrinks.
//!
//! All are state-based: replicas exchange whole states and join them, so a state that arrives
//! twice, late or in another order does no harm. Increments are not sent; totals are.
//!
//! # Caveats
//!
//! One type for all keys, by configuration. Sets, maps and a type per key need operations beyond
//! put, delete and increment, and a type tag in the record.

mod counter;
mod register;

use super::{Refusal, Resolver};
use crate::{Entry, Invalid, Parameter, Settings, defaults, read};
use counter::Counter;
use serde::{Deserialize, Serialize};

const NAME: &str = "crdt";

pub(super) const ENTRY: Entry<dyn Resolver> = Entry {
    name: NAME,
    about: "replicated data types: concurrent increments all count, a register keeps the latest",
    paper: "Shapiro et al., INRIA RR-7506, 2011, sections 3.1 and 3.2",
    parameters: &[Parameter {
        name: "type",
        about: "what every key is: lww_register, g_counter or pn_counter",
    }],
    defaults: defaults::<Config>,
    build,
};

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    r#type: Type,
}

#[derive(Clone, Copy, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Type {
    #[default]
    LwwRegister,
    GCounter,
    PnCounter,
}

fn build(settings: &Settings) -> Result<Box<dyn Resolver>, Invalid> {
    Ok(match read::<Config>(settings)?.r#type {
        Type::LwwRegister => register::lww(),
        Type::GCounter => Box::new(Counter { shrinks: false }),
        Type::PnCounter => Box::new(Counter { shrinks: true }),
    })
}
