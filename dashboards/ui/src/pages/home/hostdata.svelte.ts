/** Fetches what the host charts need and keeps the last good answer of each question. */

import { runSql } from "../../api/client";
import { ApiError, isAbort } from "../../api/http";
import {
  chooseHost, cpuLines, filesystemLines, HOST_QUERIES, HOSTS_SQL, loadLines, memoryLines, networkLines, readHosts, readSamples,
  type Host, type HostQuery, type LabelledSamples,
} from "../../lib/host";
import type { Line } from "../../lib/series";
import { timeRangeBounds, timeRangeStepSeconds, type TimeRange } from "../../lib/timerange";

const LABELS: Record<HostQuery, string[]> = {
  gauges: ["metric"],
  cpu: ["cpu", "mode"],
  filesystemSize: ["mountpoint", "fstype"],
  filesystemFree: ["mountpoint", "fstype"],
  received: ["device"],
  transmitted: ["device"],
};

export type ChartName = "cpu" | "memory" | "load" | "filesystem" | "network";

interface ChartData {
  lines: Line[] | null;
  error: string | null;
}

type Answer = { samples: LabelledSamples[]; error: string | null };

export class HostData {
  hosts = $state.raw<Host[] | null>(null);
  host = $state.raw<Host | null>(null);
  hostsError = $state<string | null>(null);
  charts = $state.raw<Record<ChartName, ChartData>>(blank());
  /** Ends of the time axis, milliseconds, by the server's clock. */
  bounds = $state.raw({ fromMs: 0, toMs: 0 });
  bucketMs = $state(15_000);
  updatedMs = $state<number | null>(null);
  private shown = "";

  /** Asks for everything once; `signal` gives up. */
  async refresh(range: TimeRange, wantedInstance: string | null, serverHostname: string | null, signal: AbortSignal): Promise<void> {
    try {
      const answer = await runSql(HOSTS_SQL, { signal });
      this.hosts = readHosts(answer.table);
      this.hostsError = null;
      this.host = chooseHost(this.hosts, wantedInstance, serverHostname);
      await this.refreshCharts(range, answer.serverNowMs, signal);
    } catch (error) {
      if (isAbort(error)) return;
      this.hostsError = (error as Error).message;
    }
  }

  private async refreshCharts(range: TimeRange, nowMs: number, signal: AbortSignal): Promise<void> {
    const { host } = this;
    if (!host) {
      this.charts = blank();
      return;
    }
    const answers = Object.fromEntries(
      await Promise.all((Object.keys(HOST_QUERIES) as HostQuery[]).map(async (name) => [name, await ask(name, host, range, signal)] as const)),
    ) as Record<HostQuery, Answer>;
    if (signal.aborted) return;
    this.bucketMs = timeRangeStepSeconds(range) * 1000;
    this.bounds = timeRangeBounds(range, nowMs);
    const key = JSON.stringify([host, range]);
    this.charts = this.assemble(answers, key === this.shown ? this.charts : blank());
    this.shown = key;
    this.updatedMs = Date.now();
  }

  /** A failed question leaves the lines drawn before in place. */
  private assemble(answers: Record<HostQuery, Answer>, before: Record<ChartName, ChartData>): Record<ChartName, ChartData> {
    const { gauges, cpu, filesystemSize, filesystemFree, received, transmitted } = answers;
    const chart = (name: ChartName, parts: Answer[], lines: () => Line[]): ChartData => {
      const error = parts.find((part) => part.error)?.error ?? null;
      return { lines: error ? before[name].lines : lines(), error };
    };
    return {
      cpu: chart("cpu", [cpu], () => cpuLines(cpu.samples, this.bucketMs)),
      memory: chart("memory", [gauges], () => memoryLines(gauges.samples, this.bucketMs)),
      load: chart("load", [gauges], () => loadLines(gauges.samples)),
      filesystem: chart("filesystem", [filesystemSize, filesystemFree], () => filesystemLines(filesystemSize.samples, filesystemFree.samples, this.bucketMs)),
      network: chart("network", [received, transmitted], () => networkLines(received.samples, transmitted.samples)),
    };
  }
}

function blank(): Record<ChartName, ChartData> {
  const none = { lines: null, error: null };
  return { cpu: none, memory: none, load: none, filesystem: none, network: none };
}

async function ask(name: HostQuery, host: Host, range: TimeRange, signal: AbortSignal): Promise<Answer> {
  try {
    const { table } = await runSql(HOST_QUERIES[name](host, range), { signal });
    return { samples: readSamples(table, LABELS[name]), error: null };
  } catch (error) {
    if (isAbort(error)) return { samples: [], error: null };
    // A metric nobody has written is a table that does not exist: an empty chart, not a failure.
    const isUnknownMetric = error instanceof ApiError && error.status >= 400 && error.status < 500 && /not found|does not exist|no metric/i.test(error.message);
    return { samples: [], error: isUnknownMetric ? null : (error as Error).message };
  }
}
