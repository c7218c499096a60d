/** The answers of the HTTP API, as the server documents them. Times are RFC 3339 text unless a name says otherwise. */

export interface CatalogColumn {
  name: string;
  type: string;
  nullable?: boolean;
}

export interface CatalogTable {
  name: string;
  /** Absent in the schema `prom`, whose columns are asked for one metric at a time. */
  columns?: CatalogColumn[];
  rows?: number | null;
  bytes?: number | null;
  files?: number | null;
  min_ts?: string | null;
  max_ts?: string | null;
}

export interface CatalogSchema {
  name: string;
  tables: CatalogTable[];
}

export interface Catalog {
  schemas: CatalogSchema[];
  functions: string[];
}

export interface PromTable {
  name: string;
  columns: CatalogColumn[];
}

export interface Status {
  version: string;
  started_at: string;
  uptime_seconds: number;
  hostname: string;
  store: { url: string; kind: string };
  ingest: {
    points_total: number;
    points_per_second: number;
    log_lines_total: number;
    log_lines_per_second: number;
    probe_results_total: number;
    batches_total: number;
    rejected_total: number;
  };
  head: { series: number; points: number; log_lines: number; probe_results: number; bytes: number };
  wal: { segments: number; bytes: number };
  commits_total: number;
  last_commit_at: string | null;
  memory_bytes: number | null;
}

export interface Target {
  job: string;
  instance: string;
  url: string;
  health: "up" | "down" | "unknown";
  last_scrape_at: string | null;
  last_duration_seconds: number | null;
  samples: number | null;
  error: string | null;
  labels: Record<string, string>;
  interval_seconds: number;
}

export interface ObjectListing {
  prefix: string;
  prefixes: string[];
  objects: { key: string; size: number; modified: string | null }[];
  /** More lie under the prefix than the server lists. */
  truncated?: boolean;
}

/** Files of one level: 0 fresh, 1 about an hour, 2 a day. */
export interface StoredLevel {
  level: number;
  files: number;
  rows: number;
  bytes: number;
}

export interface StoredTable {
  name: string;
  version: number;
  files: number;
  rows: number;
  bytes: number;
  levels: StoredLevel[];
  days: { day: string; files: number; rows: number; bytes: number; levels: StoredLevel[] }[];
}

export interface ParquetColumnChunk {
  name: string;
  type: string;
  encodings: string[];
  compression: string;
  compressed_bytes: number;
  uncompressed_bytes: number;
  min: unknown;
  max: unknown;
  nulls: number | null;
}

export interface ParquetFile {
  key: string;
  size: number;
  rows: number;
  created_by: string | null;
  row_groups: { rows: number; bytes: number; columns: ParquetColumnChunk[] }[];
  columns: { name: string; compressed_bytes: number; uncompressed_bytes: number }[];
  metadata: Record<string, string>;
}
