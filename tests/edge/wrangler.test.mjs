// The worker as `wrangler dev` serves it: the same configuration as a deployment, and a cron event by HTTP.
//
// By hand against a real backend, from edge-worker/ (the backend with `edge.keys: [{id: edge, secret: …}]`):
//   printf 'ATL_BACKEND_URL=http://127.0.0.1:3000\nATL_EDGE_SECRET=the secret of the key\n' > /tmp/edge.env
//   npx wrangler dev --port 8787 --ip 127.0.0.1 --env-file /tmp/edge.env
//   curl 'http://127.0.0.1:8787/cdn-cgi/handler/scheduled?cron=*+*+*+*+*&time=1763820000000'   # `time` is optional
//   curl 'http://127.0.0.1:3000/api/sql' -d 'select * from probes'

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import {
  SECRET, TICK, buildFolder, byProbe, edgeFolder, eventually, probe, require, startBackend, startTarget,
} from './harness.mjs';

/** A folder with the project's wrangler.toml, with the build taken out and the built worker named by its place. */
function projectFolder(t) {
  const folder = mkdtempSync(join(tmpdir(), 'atl-edge-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const config = readFileSync(join(edgeFolder, 'wrangler.toml'), 'utf8')
    .replace(/^\[build\]\n(?:[a-z_]+ = .*\n)+/m, '')
    .replace('main = "build/index.js"', `main = ${JSON.stringify(join(buildFolder, 'index.js'))}`);
  assert.ok(config.includes(buildFolder) && !config.includes('[build]'));
  writeFileSync(join(folder, 'wrangler.toml'), config);
  return folder;
}

async function startWrangler(t, bindings) {
  const folder = projectFolder(t);
  const file = join(folder, 'edge.env');
  writeFileSync(file, Object.entries(bindings).map(([name, value]) => `${name}=${JSON.stringify(value)}\n`).join(''));
  const program = join(require.resolve('wrangler/package.json'), '../bin/wrangler.js');
  const words = ['dev', '--local', '--ip', '127.0.0.1', '--port', '0', '--inspector-port', '0', '--env-file', file];
  const child = spawn(process.execPath, [program, ...words], {
    cwd: folder,
    env: { ...process.env, CI: 'true', WRANGLER_SEND_METRICS: 'false', CLOUDFLARE_CF_FETCH_ENABLED: 'false', NO_COLOR: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  const exited = new Promise((done) => child.on('exit', done));
  t.after(async () => {
    // Wrangler and the workerd it started, which are a group of their own.
    try { process.kill(-child.pid, 'SIGTERM'); } catch { /* gone already */ }
    await exited;
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (output += text));
  const ready = () => /Ready on (http:\/\/127\.0\.0\.1:\d+)/.exec(output)?.[1];
  return eventually(ready, 'wrangler is ready', 60_000).catch((error) => {
    throw new Error(`${error.message}\n${output}`);
  });
}

test('wrangler dev serves the worker of wrangler.toml, and a cron event comes through', async (t) => {
  const target = await startTarget(t, { '/': (_, response) => response.end('fine') });
  const backend = await startBackend(t, [probe('probe-a', target.url)]);
  const url = await startWrangler(t, { ATL_BACKEND_URL: backend.url, ATL_EDGE_SECRET: SECRET });
  const health = await fetch(`${url}/healthz`);
  assert.deepEqual([health.status, await health.text()], [200, 'ok\n']);
  const cron = await fetch(`${url}/cdn-cgi/handler/scheduled?cron=*+*+*+*+*&time=${TICK}`);
  assert.deepEqual([cron.status, await cron.text()], [200, 'ok']);
  assert.deepEqual(backend.problems, []);
  assert.equal(backend.pushes[0].id, `atl-edge:edge:${TICK}`);
  assert.equal(byProbe(backend.pushes[0])['probe-a'].success, true);
  const status = await (await fetch(url)).json();
  assert.equal(status.last_tick.delivered, true);
});
