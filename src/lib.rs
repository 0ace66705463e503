//! quorate: a wind tunnel for Dynamo-style key-value stores.

pub mod engine;
pub mod message;
pub mod node;
