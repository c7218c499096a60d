//! Writes the page of the host exporter to standard output, to compare it with node_exporter's.

#![expect(clippy::print_stdout, reason = "the page is the output")]

use std::sync::Arc;

use collect::exporters::host::{Config, HostExporter};

fn main() {
    let exporter = HostExporter::new(Config::default(), Arc::new(model::SystemClock));
    let families = exporter.families().expect("nobody else collects");
    print!("{}", families.to_page());
}
