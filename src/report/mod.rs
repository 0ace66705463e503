//! Shows what was measured: tables, plots and the files of a run.

pub mod trial;
