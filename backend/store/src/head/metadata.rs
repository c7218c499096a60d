//! What sources told of metric families: kind, help, unit. Kept in memory; told again with every scrape.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use model::MetricMetadata;

/// Most families remembered; more are dropped, counted by [`MetadataMap::dropped`].
const FAMILIES_MAX: usize = 50_000;
/// Longest help text kept, bytes.
const HELP_BYTES_MAX: usize = 1_024;
/// Longest family name or unit kept, bytes.
const NAME_BYTES_MAX: usize = 512;

/// Metadata by family name.
pub type MetadataByFamily = BTreeMap<String, MetricMetadata>;

/// The current map, replaced as a whole where something changes, which is seldom.
#[derive(Debug, Default)]
pub(crate) struct MetadataMap {
    current: ArcSwap<MetadataByFamily>,
    dropped: std::sync::atomic::AtomicU64,
}

impl MetadataMap {
    /// The map as it is now.
    pub(crate) fn get(&self) -> Arc<MetadataByFamily> {
        self.current.load_full()
    }

    /// Families dropped because there were too many.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// Leaves in `metadata` what is news, cut to size.
    pub(crate) fn retain_news(&self, metadata: &mut Vec<MetricMetadata>) {
        let current = self.current.load();
        metadata.retain_mut(|entry| {
            cut(&mut entry.help, HELP_BYTES_MAX);
            cut(&mut entry.unit, NAME_BYTES_MAX);
            let known = current.get(&entry.family).is_some_and(|known| known == entry);
            !known && !entry.family.is_empty() && entry.family.len() <= NAME_BYTES_MAX
        });
    }

    /// Takes in metadata; the last word on a family counts. Called by one thread only.
    pub(crate) fn learn(&self, metadata: Vec<MetricMetadata>) {
        if metadata.is_empty() {
            return;
        }
        let mut map = MetadataByFamily::clone(&self.current.load());
        for entry in metadata {
            if map.len() >= FAMILIES_MAX && !map.contains_key(&entry.family) {
                self.dropped.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                continue;
            }
            map.insert(entry.family.clone(), entry);
        }
        self.current.store(Arc::new(map));
    }
}

fn cut(text: &mut String, bytes_max: usize) {
    let mut end = bytes_max;
    while end < text.len() && !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
}
