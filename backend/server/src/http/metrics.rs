//! `GET /metrics`: the program's own numbers in the text exposition format, scraped by itself like any target.

mod store;

use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use codecs::exposition::Format;
use codecs::text_encode::Writer;
use collect::exporters::Families;
use model::MetricKind::{self, Counter, Gauge};

use crate::app::App;

const NO_LABELS: [(&str, &str); 0] = [];

/// The page.
pub(super) async fn metrics(State(app): State<Arc<App>>) -> Response {
    let mut page = Writer::new(Format::Text);
    build(&mut page);
    ingest(&mut page, &app);
    sources(&mut page, &app);
    store::write(&mut page, &app.store().stats());
    let mut process = Families::default();
    collect::exporters::process::collect(&mut process);
    process.write(&mut page);
    ([(header::CONTENT_TYPE, page.content_type())], page.finish()).into_response()
}

fn one(page: &mut Writer, name: &str, kind: MetricKind, help: &str, value: f64) {
    page.family(name, kind, help).sample(name, NO_LABELS, value);
}

fn build(page: &mut Writer) {
    let labels = [("version", env!("CARGO_PKG_VERSION")), ("ui", super::UI_KIND)];
    page.family("atl_build_info", Gauge, "Version of this program; always 1.").sample(
        "atl_build_info",
        labels,
        1.0,
    );
}

fn ingest(page: &mut Writer, app: &App) {
    let counters = app.ingest().counters().snapshot(app.now_ms());
    for (name, help, value) in [
        ("atl_ingest_points_total", "Metric points acknowledged.", counters.points_total),
        ("atl_ingest_histograms_total", "Native histograms acknowledged.", counters.histograms_total),
        ("atl_ingest_exemplars_total", "Exemplars acknowledged.", counters.exemplars_total),
        ("atl_ingest_log_entries_total", "Log entries acknowledged.", counters.log_entries_total),
        ("atl_ingest_probe_results_total", "Probe results acknowledged.", counters.probe_results_total),
        ("atl_ingest_batches_total", "Batches acknowledged.", counters.batches_total),
        (
            "atl_ingest_duplicate_batches_total",
            "Batches recognised as sent before.",
            counters.duplicates_total,
        ),
        ("atl_ingest_rejected_rows_total", "Rows refused by a limit.", counters.rejected_total),
        ("atl_ingest_refused_batches_total", "Batches refused whole.", counters.refused_batches_total),
    ] {
        one(page, name, Counter, help, value as f64);
    }
}

/// Series by source; only sources that a limit watches have any.
fn sources(page: &mut Writer, app: &App) {
    let sources = app.ingest().sources();
    let name = "atl_ingest_active_series";
    page.family(name, Gauge, "Series a source wrote within the last one to two hours.");
    for source in &sources {
        page.sample(name, [("source", &source.source)], source.active as f64);
    }
    let name = "atl_ingest_refused_series_points_total";
    page.family(name, Counter, "Points of new series refused because the source has too many.");
    for source in &sources {
        page.sample(name, [("source", &source.source)], source.refused_total as f64);
    }
}
