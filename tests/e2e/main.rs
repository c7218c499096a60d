//! End-to-end tests: the real binary `atl` beside real components (MinIO, node_exporter, nginx, workerd, DuckDB,
//! Sail), spoken to over HTTP only, as a user would. Run by `tests/run`, which says where the tools are; by hand:
//! `eval "$(tests/run --env)"; cargo test --release -p tests --test e2e`.
//!
//! One module a topic; `harness` starts and stops things. A test that misses a tool fails and says how to get it.

mod harness;

mod bucket;
mod configuration;
mod durability;
mod edge_push;
mod edge_worker;
mod first_start;
mod full_disk;
mod hostile;
mod interop;
mod leader;
mod prom_api;
mod real_exporters;
mod remote_write;
mod sql_api;
mod sql_limits;
mod store_commands;
mod versions;
