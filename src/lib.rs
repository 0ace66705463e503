//! quorate: a wind tunnel for Dynamo-style key-value stores.

pub mod amplification;
pub mod checker;
pub mod cli;
pub mod client;
pub mod config;
pub mod engine;
pub mod experiment;
mod hash;
pub mod level;
mod lock;
pub mod message;
pub mod node;
pub mod report;
pub mod server;
pub mod sim;
pub mod token;
pub mod ttl;
pub mod wire;
mod yaml;
