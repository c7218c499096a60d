"""What is asked: the panels of the dashboard "Node Exporter Full", written from what the metrics mean, and twenty
questions of other dashboards and rules over all hosts.

In the text `$host` stands for one host's matchers and `$rate` for Grafana's `$__rate_interval`."""

# Name, query: each of one host, as the dashboard has its variable `node`.
PANELS = [
    ("CPU busy by mode", 'sum by (mode) (rate(node_cpu_seconds_total{$host}[$rate])) / on () group_left () count(count by (cpu) (node_cpu_seconds_total{$host}))'),
    ("CPU busy, one number", '100 * (1 - avg(rate(node_cpu_seconds_total{$host, mode="idle"}[$rate])))'),
    ("CPU by core", 'sum by (cpu) (irate(node_cpu_seconds_total{$host, mode!="idle"}[$rate]))'),
    ("load over cores", 'node_load1{$host} / on (instance) count by (instance) (node_cpu_seconds_total{$host, mode="idle"})'),
    ("pressure", 'rate(node_pressure_cpu_waiting_seconds_total{$host}[$rate])'),
    ("memory used", 'node_memory_MemTotal_bytes{$host} - node_memory_MemFree_bytes{$host} - (node_memory_Cached_bytes{$host} + node_memory_Buffers_bytes{$host} + node_memory_SReclaimable_bytes{$host})'),
    ("memory used, share", '100 * (1 - node_memory_MemAvailable_bytes{$host} / node_memory_MemTotal_bytes{$host})'),
    ("memory, page tables", 'node_memory_PageTables_bytes{$host}'),
    ("swap used, share", '(node_memory_SwapTotal_bytes{$host} - node_memory_SwapFree_bytes{$host}) / (node_memory_SwapTotal_bytes{$host} != 0) * 100 or vector(0)'),
    ("pages in and out", 'rate(node_vmstat_pgpgin{$host}[$rate]) + rate(node_vmstat_pgpgout{$host}[$rate])'),
    ("page faults, major", 'irate(node_vmstat_pgmajfault{$host}[$rate])'),
    ("disk operations", 'rate(node_disk_reads_completed_total{$host}[$rate])'),
    ("disk bytes written", 'irate(node_disk_written_bytes_total{$host}[$rate])'),
    ("disk busy", 'rate(node_disk_io_time_seconds_total{$host, device=~"[a-z]+|nvme[0-9]+n[0-9]+"}[$rate])'),
    ("disk wait", 'rate(node_disk_write_time_seconds_total{$host}[$rate]) / rate(node_disk_writes_completed_total{$host}[$rate])'),
    ("filesystem used, share", '100 - node_filesystem_avail_bytes{$host, fstype!~"rootfs|tmpfs"} * 100 / node_filesystem_size_bytes{$host, fstype!~"rootfs|tmpfs"}'),
    ("inodes free", 'node_filesystem_files_free{$host, fstype!="rootfs"}'),
    ("network in by device", 'rate(node_network_receive_bytes_total{$host}[$rate]) * 8'),
    ("network out by device", '-8 * rate(node_network_transmit_bytes_total{$host}[$rate])'),
    ("network errors", 'rate(node_network_receive_errs_total{$host}[$rate]) + rate(node_network_transmit_errs_total{$host}[$rate])'),
    ("netstat, TCP segments", 'irate(node_netstat_Tcp_InSegs{$host}[$rate])'),
    ("netstat, retransmits", 'rate(node_netstat_Tcp_RetransSegs{$host}[$rate]) / rate(node_netstat_Tcp_OutSegs{$host}[$rate])'),
    ("sockets", '{$host, __name__=~"node_sockstat_TCP_(alloc|inuse|mem|orphan|tw)"}'),
    ("context switches and interrupts", 'rate(node_context_switches_total{$host}[$rate]) + rate(node_intr_total{$host}[$rate])'),
]

OWN = [
    ("requests of all", 'sum(rate(http_requests_total[$rate]))'),
    ("requests by handler and code", 'sum by (handler, code) (rate(http_requests_total[$rate]))'),
    ("share of errors", 'sum by (handler) (rate(http_requests_total{code=~"5.."}[$rate])) / sum by (handler) (rate(http_requests_total[$rate]))'),
    ("95th percentile by handler", 'histogram_quantile(0.95, sum by (le, handler) (rate(http_request_duration_seconds_bucket[$rate])))'),
    ("99th percentile by host", 'histogram_quantile(0.99, sum by (le, instance) (rate(http_request_duration_seconds_bucket[$rate])))'),
    ("mean duration", 'sum by (instance) (rate(http_request_duration_seconds_sum[$rate])) / sum by (instance) (rate(http_request_duration_seconds_count[$rate]))'),
    ("CPU of all hosts", '100 * (1 - avg by (instance) (rate(node_cpu_seconds_total{mode="idle"}[$rate])))'),
    ("five busiest", 'topk(5, sum by (instance) (rate(node_cpu_seconds_total{mode!="idle"}[$rate])))'),
    ("memory with names of hosts", '(1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes) * on (instance) group_left (nodename) node_uname_info'),
    ("worst of an hour, subquery", 'max_over_time(sum by (instance) (rate(node_cpu_seconds_total{mode="user"}[5m]))[1h:1m])'),
    ("regex over names", 'sum by (__name__) ({job="node", __name__=~"node_(netstat|sockstat)_.+"})'),
    ("regex over all series", 'count by (job) ({instance=~"host-.*:(9100|8080)"})'),
    ("quantile over time", 'quantile_over_time(0.95, node_load1[1h])'),
    ("absent", 'absent(up{job="nothing"}) or absent_over_time(up{job="node", instance="nobody"}[5m])'),
    ("label_replace", 'sum by (host) (label_replace(rate(node_network_receive_bytes_total[$rate]), "host", "$1", "instance", "([^:]+):.*"))'),
    ("against an hour before", 'sum by (job) (scrape_duration_seconds) / sum by (job) (scrape_duration_seconds offset 1h)'),
    ("against the end", 'sum(rate(node_context_switches_total[$rate])) / scalar(sum(rate(node_context_switches_total[$rate] @ end())))'),
    ("full in four hours", 'predict_linear(node_filesystem_avail_bytes[1h], 4 * 3600)'),
    ("slope", 'sum(deriv(node_memory_MemFree_bytes[30m]))'),
    ("all series counted", 'count({__name__=~".+"})'),
]

SETS = [("panels", PANELS), ("own", OWN)]


def filled(query, host, rate_s):
    return query.replace("$host", f'instance="{host}:9100"').replace("$rate", f"{rate_s}s")
