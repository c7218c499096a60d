/** The live catalog of the SQL page: loaded once a visit, columns of metrics when somebody looks at them. */

import { fetchCatalog, fetchPromTable } from "../../api/client";
import { isAbort } from "../../api/http";
import type { Catalog, CatalogColumn } from "../../api/types";

const EMPTY: Catalog = { schemas: [], functions: [] };

export class LiveCatalog {
  catalog = $state.raw<Catalog>(EMPTY);
  loading = $state(true);
  error = $state<string | null>(null);
  private readonly asked = new Map<string, Promise<void>>();

  async load(signal?: AbortSignal): Promise<void> {
    this.loading = true;
    try {
      this.catalog = await fetchCatalog(signal);
      this.asked.clear();
      this.error = null;
    } catch (error) {
      if (!isAbort(error)) this.error = (error as Error).message;
    }
    this.loading = false;
  }

  /** Fetches the columns of metrics, each once. One that fails stays without columns and may be asked for again. */
  async loadMetrics(metrics: string[]): Promise<void> {
    await Promise.all(metrics.map((metric) => this.loadMetric(metric)));
  }

  private loadMetric(metric: string): Promise<void> {
    const known = this.asked.get(metric);
    if (known) return known;
    const work = fetchPromTable(metric).then(
      (table) => this.setColumns(metric, table.columns),
      () => void this.asked.delete(metric),
    );
    this.asked.set(metric, work);
    return work;
  }

  private setColumns(metric: string, columns: CatalogColumn[]): void {
    const withColumns = { ...this.catalog, schemas: this.catalog.schemas.map((schema) => ({ ...schema, tables: schema.name === "prom" ? schema.tables.slice() : schema.tables })) };
    const prom = withColumns.schemas.find((schema) => schema.name === "prom");
    const at = prom?.tables.findIndex((table) => table.name === metric) ?? -1;
    if (prom && at >= 0) prom.tables[at] = { ...prom.tables[at], columns };
    else prom?.tables.push({ name: metric, columns });
    this.catalog = withColumns;
  }
}
