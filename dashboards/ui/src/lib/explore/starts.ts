/** First questions worth asking, offered only when the metrics they need exist. Names in, titled expressions out. */

export interface Start {
  title: string;
  expr: string;
}

const STARTS: { title: string; needs: string[]; expr: (window: string) => string }[] = [
  { title: "CPU busy, by host", needs: ["node_cpu_seconds_total"], expr: (w) => `1 - avg by (instance) (rate(node_cpu_seconds_total{mode="idle"}[${w}]))` },
  { title: "Memory used, by host", needs: ["node_memory_MemTotal_bytes", "node_memory_MemAvailable_bytes"], expr: () => "node_memory_MemTotal_bytes - node_memory_MemAvailable_bytes" },
  { title: "Fullest file systems", needs: ["node_filesystem_avail_bytes", "node_filesystem_size_bytes"], expr: () => 'topk(10, 1 - node_filesystem_avail_bytes{fstype!~"tmpfs|ramfs"} / node_filesystem_size_bytes)' },
  { title: "Network in, by device", needs: ["node_network_receive_bytes_total"], expr: (w) => `sum by (instance, device) (rate(node_network_receive_bytes_total{device!="lo"}[${w}]))` },
  { title: "Disk time, by device", needs: ["node_disk_io_time_seconds_total"], expr: (w) => `rate(node_disk_io_time_seconds_total[${w}])` },
  { title: "Targets that are down", needs: ["up"], expr: () => "up == 0" },
  { title: "Slowest scrapes", needs: ["scrape_duration_seconds"], expr: () => "topk(10, scrape_duration_seconds)" },
  { title: "Samples a scrape, by job", needs: ["scrape_samples_scraped"], expr: () => "sum by (job) (scrape_samples_scraped)" },
  { title: "Failing probes", needs: ["probe_success"], expr: () => "avg by (job, location) (probe_success) < 1" },
  { title: "Probe time, by phase", needs: ["probe_http_duration_seconds"], expr: () => "avg by (job, phase) (probe_http_duration_seconds)" },
  { title: "Days until certificates end", needs: ["probe_ssl_earliest_cert_expiry"], expr: () => "(probe_ssl_earliest_cert_expiry - time()) / 86400" },
  { title: "Connections, by database", needs: ["pg_stat_activity_count"], expr: () => "sum by (datname, state) (pg_stat_activity_count)" },
  { title: "Memory of processes", needs: ["process_resident_memory_bytes"], expr: () => "process_resident_memory_bytes" },
];

/** At most `max` of them, in their order. */
export function startsFor(names: Set<string>, window: string, max = 8): Start[] {
  return STARTS.filter(({ needs }) => needs.every((name) => names.has(name))).slice(0, max).map(({ title, expr }) => ({ title, expr: expr(window) }));
}
