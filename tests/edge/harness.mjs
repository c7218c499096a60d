// What the tests of the edge worker share: the built worker in workerd (by Miniflare), a backend that checks
// signatures, and web servers that behave well and badly. Everything listens on 127.0.0.1.
//
// ATL_EDGE_BUILD names the folder of the built worker (default: ../../edge-worker/build). Build it first with
// edge-worker/build.sh, and the tools of the tests with `npm ci` in edge-worker/.

import { createHash, createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';

const here = dirname(fileURLToPath(import.meta.url));
export const edgeFolder = resolve(here, '../../edge-worker');
export const buildFolder = resolve(process.env.ATL_EDGE_BUILD ?? join(edgeFolder, 'build'));
export const require = createRequire(join(edgeFolder, 'package.json'));
const { Miniflare } = require('miniflare');

export const SECRET = 'a secret of the tests';
export const MINUTE = 60_000;
/** When the first tick of a test is due. */
export const TICK = Date.UTC(2026, 10, 22, 12, 0, 0);
const COMPATIBILITY_DATE = '2026-04-01';

const digest = (body) => createHash('sha256').update(body).digest('hex');
const hmac = (text, secret = SECRET) => createHmac('sha256', secret).update(text).digest('hex');

/** Listens on a free port of the loopback interface; closes with the test. */
async function listen(t, server) {
  await new Promise((ready) => server.listen(0, '127.0.0.1', ready));
  t.after(() => {
    server.closeAllConnections();
    return new Promise((closed) => server.close(closed));
  });
  return `http://127.0.0.1:${server.address().port}`;
}

/** A web server; `routes` maps a path to a handler. Counts requests, and how many were open at once. */
export async function startTarget(t, routes) {
  const seen = { requests: [], open: 0, openMax: 0, bytesSent: 0 };
  const server = http.createServer((request, response) => {
    const path = request.url.split('?')[0];
    seen.requests.push({ path, method: request.method, headers: request.headers });
    seen.open += 1;
    seen.openMax = Math.max(seen.openMax, seen.open);
    response.on('close', () => (seen.open -= 1));
    const route = routes[path] ?? ((_, answer) => answer.writeHead(404).end('no such page'));
    route(request, response, seen);
  });
  return { url: await listen(t, server), seen };
}

/**
 * A backend as the protocol describes it. It remembers every push and every question for the probe list.
 * `mode`: `up`, `down` (503), `refuse` (400), `tamper` (a changed list under the signature of another),
 * `unsigned`, `replay` (an old answer, rightly signed for another nonce).
 */
export async function startBackend(t, probes = [], secret = SECRET) {
  const backend = { mode: 'up', pushes: [], attempts: [], configs: [], probes, problems: [] };
  const server = http.createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = Buffer.concat(chunks);
    const header = (name) => request.headers[name];
    const text = ['v1', request.method, request.url, header('x-atl-key-id'), header('x-atl-timestamp'),
      header('x-atl-batch-id'), digest(body)].join('\n');
    const answer = (status, value, headers = {}) => {
      response.writeHead(status, { 'content-type': 'application/json', ...headers });
      response.end(typeof value === 'string' ? value : JSON.stringify(value));
    };
    const fail = (problem) => {
      backend.problems.push(problem);
      answer(401, { error: problem });
    };
    if (hmac(text, secret) !== header('x-atl-signature')) return fail('signature does not match');
    const skew = Math.abs(Date.now() / 1000 - Number(header('x-atl-timestamp')));
    if (!(skew < 300)) return fail(`skew of ${skew} s`);
    if (!/^[A-Za-z0-9._:-]{1,128}$/.test(header('x-atl-batch-id'))) return fail('batch id');
    if (request.url === '/api/edge/v1/config') return config(request, answer, backend, secret);
    if (request.url !== '/api/edge/v1/push') return answer(404, { error: 'no such path' });
    const attempt = { id: header('x-atl-batch-id'), keyId: header('x-atl-key-id'), body, accepted: false };
    backend.attempts.push(attempt);
    if (backend.mode === 'down') return answer(503, { error: 'down for the test' });
    if (backend.mode === 'refuse') return answer(400, { error: 'refused by the test' });
    if (header('content-encoding') !== 'gzip') return fail('not gzip');
    attempt.accepted = true;
    const push = JSON.parse(gunzipSync(body));
    backend.pushes.push({ id: attempt.id, ...push });
    answer(200, { status: 'stored', results: push.results.length, logs: push.logs.length });
  });
  backend.url = await listen(t, server);
  return backend;
}

function config(request, answer, backend, secret) {
  const nonce = request.headers['x-atl-batch-id'];
  const asked = request.headers['if-none-match'];
  backend.configs.push({ nonce, asked });
  if (backend.mode === 'down') return answer(503, { error: 'down for the test' });
  const version = digest(JSON.stringify(backend.probes)).slice(0, 16);
  const etag = `"${version}"`;
  if (asked === etag) {
    backend.configs.at(-1).status = 304;
    return answer(304, '', { etag });
  }
  const body = JSON.stringify({ version, probes: backend.probes });
  const signature = hmac(`v1-config\n${backend.mode === 'replay' ? 'an-older-nonce' : nonce}\n${digest(body)}`, secret);
  backend.configs.at(-1).status = 200;
  const sent = backend.mode === 'tamper' ? body.replaceAll('probe-', 'evil-') : body;
  answer(200, sent, backend.mode === 'unsigned' ? { etag } : { etag, 'x-atl-signature': signature });
}

/** The built worker, as modules of workerd. `wrapper` is a main module in front of it. */
export function workerModules(wrapper) {
  const file = (name) => readFileSync(join(buildFolder, name));
  const modules = [
    { type: 'ESModule', path: 'index.js', contents: file('index.js').toString() },
    { type: 'CompiledWasm', path: 'index_bg.wasm', contents: file('index_bg.wasm') },
  ];
  return wrapper ? [{ type: 'ESModule', path: 'main.js', contents: wrapper }, ...modules] : modules;
}

/** The worker in workerd; `bindings` on top of those of a normal deployment, `others` are further workers. */
export async function startEdge(t, backend, { bindings = {}, wrapper, others = [] } = {}) {
  const settings = { ATL_BACKEND_URL: backend.url, ATL_EDGE_SECRET: SECRET, ATL_LOCATION: 'LAB', ...bindings };
  for (const name of Object.keys(settings)) if (settings[name] === null) delete settings[name];
  const edge = { name: 'edge', modules: workerModules(wrapper), compatibilityDate: COMPATIBILITY_DATE, bindings: settings };
  const console_ = [];
  const miniflare = new Miniflare({
    // Without this Miniflare asks the internet where it is.
    cf: false,
    workers: [edge, ...others.map((other) => ({ modules: true, compatibilityDate: COMPATIBILITY_DATE, ...other }))],
    handleRuntimeStdio: (out, err) => [out, err].forEach((stream) => stream.on('data', (text) => console_.push(String(text)))),
  });
  t.after(() => miniflare.dispose());
  await miniflare.ready;
  const worker = await miniflare.getWorker('edge');
  return {
    miniflare,
    console: console_,
    fetch: (path, init) => worker.fetch(`http://edge.test${path}`, init),
    tick: (minute = 0) => worker.scheduled({ scheduledTime: new Date(TICK + minute * MINUTE), cron: '* * * * *' }),
    worker: (name) => miniflare.getWorker(name),
  };
}

/** A probe every minute with a short timeout. */
export const probe = (name, target, rest = {}) => ({ name, target, timeout_ms: 2000, ...rest });

/** The results of a push by the name of their probe. */
export const byProbe = (push) => Object.fromEntries(push.results.map((result) => [result.probe, result]));

/** The record a tick writes about itself. */
export const tickRecord = (push) => push.logs.find((record) => record.message.startsWith('tick'));

export const resultId = (name, location, scheduled) =>
  digest(`${name}|${location}|${scheduled}|1`).slice(0, 32);

/** Waits until `check` gives something. */
export async function eventually(check, what, within = 5000) {
  const end = Date.now() + within;
  for (;;) {
    const value = await check();
    if (value) return value;
    if (Date.now() > end) throw new Error(`not within ${within} ms: ${what}`);
    await new Promise((tick) => setTimeout(tick, 20));
  }
}
