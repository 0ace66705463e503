//! The last-writer-wins register (Shapiro et al. 2011, section 3.2.1).
//!
//! The join of two registers is the one with the greater timestamp: exactly what the `lww` resolver
//! does, so it is that resolver under the name of this family member.

use super::super::lww::LastWriteWins;
use super::{NAME, Resolver};

pub(super) fn lww() -> Box<dyn Resolver> {
    Box::new(LastWriteWins { strategy: NAME })
}
