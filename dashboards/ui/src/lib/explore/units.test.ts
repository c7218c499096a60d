import { expect, it } from "vitest";
import { formatUnit, guessUnit, metricUnit } from "./units";

it("reads units off metric names", () => {
  const cases: [string, string][] = [
    ["node_memory_MemAvailable_bytes", "bytes"],
    ["node_cpu_seconds_total", "seconds"],
    ["http_request_duration_seconds_bucket", "seconds"],
    ["http_request_duration_seconds_count", "plain"],
    ["process_start_time_seconds", "timestamp"],
    ["node_boot_time_seconds", "timestamp"],
    ["last_success_timestamp_seconds", "timestamp"],
    ["probe_ssl_earliest_cert_expiry", "timestamp"],
    ["cache_hit_ratio", "ratio"],
    ["node_hwmon_temp_celsius", "celsius"],
    ["bytes", "plain"],
    ["node_load1", "plain"],
  ];
  for (const [name, unit] of cases) expect([name, metricUnit(name)]).toEqual([name, unit]);
});

it("follows functions and operators", () => {
  const cases: [string, string][] = [
    ["rate(node_network_receive_bytes_total[5m])", "bytes/s"],
    ["sum by (mode) (rate(node_cpu_seconds_total[5m]))", "s/s"],
    ["sum(irate(http_requests_total{code=~\"5..\"}[1m])) by (job)", "/s"],
    ["increase(node_network_receive_bytes_total[1h] offset -5m)", "bytes"],
    ["histogram_quantile(0.99, sum by (le) (rate(http_request_duration_seconds_bucket[5m])))", "seconds"],
    ["sum(rate(x_seconds_sum[5m])) / sum(rate(x_seconds_count[5m]))", "seconds"],
    ["1 - node_filesystem_avail_bytes / node_filesystem_size_bytes", "ratio"],
    ["topk(10, (a_bytes))", "bytes"],
    ["100 * a_bytes", "plain"],
    ["a_ratio * 100", "percent"],
    ["count(node_memory_MemFree_bytes)", "plain"],
    ["time() - process_start_time_seconds", "seconds"],
    ["(probe_ssl_earliest_cert_expiry - time()) / 86400", "plain"],
    ["a_bytes > bool 5", "plain"],
    ["a_bytes > 5e9", "bytes"],
    ["a_bytes / on (instance) group_left () b_bytes", "ratio"],
    ["{__name__=\"a.b_bytes\"}", "bytes"],
    ["-a_seconds", "seconds"],
    ["", "plain"],
    ["sum(", "plain"],
  ];
  for (const [expr, unit] of cases) expect([expr, guessUnit(expr)]).toEqual([expr, unit]);
});

it("writes values with their unit", () => {
  expect(formatUnit("bytes/s")(1536)).toBe("1.5 KiB/s");
  expect(formatUnit("ratio")(0.125)).toBe("12.5 %");
  expect(formatUnit("seconds")(0.05)).toBe("50 ms");
  expect(formatUnit("timestamp")(0)).toBe("1970-01-01 00:00:00");
  expect(formatUnit("celsius")(null)).toBe("–");
});
