// How batches come to the backend, and where the probe list comes from.

import assert from 'node:assert/strict';
import test from 'node:test';
import { SECRET, TICK, MINUTE, byProbe, probe, startBackend, startEdge, startTarget, tickRecord } from './harness.mjs';

const fine = { '/': (_, response) => response.end('fine') };
const errors = (push) => push.logs.filter((record) => record.level === 'error').map((record) => record.message);

test('the probe list is asked for by its tag, and taken when it changes', async (t) => {
  const target = await startTarget(t, fine);
  const backend = await startBackend(t, [probe('probe-a', target.url)]);
  const edge = await startEdge(t, backend);
  await edge.tick(0);
  await edge.tick(1);
  backend.probes = [probe('probe-a', target.url), probe('probe-b', target.url)];
  await edge.tick(2);
  assert.deepEqual(backend.configs.map((asked) => asked.status), [200, 304, 200]);
  assert.equal(backend.configs[0].asked, undefined);
  assert.match(backend.configs[1].asked, /^"[0-9a-f]{16}"$/);
  assert.equal(new Set(backend.configs.map((asked) => asked.nonce)).size, 3, 'a nonce is used once');
  const sources = backend.pushes.map((push) => tickRecord(push).attributes.config_source);
  assert.deepEqual(sources, ['backend', 'unchanged', 'backend']);
  assert.deepEqual(backend.pushes.map((push) => push.results.length), [1, 1, 2]);
});

for (const mode of ['tamper', 'unsigned', 'replay']) {
  test(`a probe list that is not signed for this question is not believed: ${mode}`, async (t) => {
    const target = await startTarget(t, fine);
    const backend = await startBackend(t, [probe('probe-a', target.url)]);
    const own = JSON.stringify({ probes: [probe('own', target.url)] });
    const edge = await startEdge(t, backend, { bindings: { ATL_PROBES: own } });
    backend.mode = mode;
    await edge.tick(0);
    assert.deepEqual(Object.keys(byProbe(backend.pushes[0])), ['own']);
    assert.equal(tickRecord(backend.pushes[0]).attributes.config_source, 'variable');
    assert.match(errors(backend.pushes[0])[0], /probe list of the backend is not accepted: signature/);

    backend.mode = 'up';
    await edge.tick(1);
    assert.deepEqual(Object.keys(byProbe(backend.pushes[1])), ['probe-a']);

    // A forged change does not replace what was verified before.
    backend.mode = mode;
    backend.probes = [probe('probe-b', target.url)];
    await edge.tick(2);
    assert.deepEqual(Object.keys(byProbe(backend.pushes[2])), ['probe-a']);
    assert.equal(tickRecord(backend.pushes[2]).attributes.config_source, 'memory');
  });
}

test('probes the worker cannot run are told, and the others run', async (t) => {
  const target = await startTarget(t, fine);
  const backend = await startBackend(t, [
    probe('probe-a', target.url),
    probe('probe-later', target.url, { kind: 'quic' }),
    probe('probe-ftp', 'ftp://127.0.0.1/'),
  ]);
  const edge = await startEdge(t, backend);
  await edge.tick(0);
  assert.deepEqual(Object.keys(byProbe(backend.pushes[0])), ['probe-a']);
  const told = errors(backend.pushes[0]).join('\n');
  assert.match(told, /probe `probe-later` is not run: unknown variant `quic`/);
  assert.match(told, /probe `probe-ftp` is not run: .*only `http` and `https`/);
});

test('what the backend could not take is delivered later, the same and under the same name', async (t) => {
  const target = await startTarget(t, fine);
  const backend = await startBackend(t, [probe('probe-a', target.url)]);
  const edge = await startEdge(t, backend);
  await edge.tick(0);
  backend.mode = 'down';
  for (const minute of [1, 2, 3, 4, 5]) await edge.tick(minute);
  assert.equal(backend.pushes.length, 1);
  const status = await (await edge.fetch('/')).json();
  assert.equal(status.batches_waiting, 5);
  assert.equal(status.last_tick.delivered, false);

  backend.mode = 'up';
  await edge.tick(6);
  await edge.tick(7);
  const minutes = backend.pushes.map((push) => (Number(push.id.split(':').at(-1)) - TICK) / MINUTE);
  // Three waiting batches a tick, oldest first, then the tick's own.
  assert.deepEqual(minutes, [0, 1, 2, 3, 6, 4, 5, 7]);
  for (const push of backend.pushes) {
    assert.deepEqual(push.results.map((result) => result.scheduled_ms), [Number(push.id.split(':').at(-1))]);
    const bodies = backend.attempts.filter((attempt) => attempt.id === push.id).map((a) => a.body.toString('hex'));
    assert.equal(new Set(bodies).size, 1, 'every try has the same bytes');
  }
  assert.deepEqual(backend.problems, []);
  assert.equal(tickRecord(backend.pushes[4]).attributes.batches_resent, '3');
  const notes = backend.pushes[4].logs.filter((record) => record.message.startsWith('batch not delivered'));
  assert.ok(notes.length > 0 && notes[0].message.includes('status 503'), 'the trouble is told afterwards');
  assert.equal((await (await edge.fetch('/')).json()).batches_waiting, 0);
});

test('while the backend is away the known probes go on', async (t) => {
  const target = await startTarget(t, fine);
  const backend = await startBackend(t, [probe('probe-a', target.url)]);
  const edge = await startEdge(t, backend);
  await edge.tick(0);
  backend.mode = 'down';
  await edge.tick(1);
  backend.mode = 'up';
  await edge.tick(2);
  assert.equal(target.seen.requests.length, 3);
  assert.equal(tickRecord(backend.pushes[1]).attributes.config_source, 'memory');
});

test('a new isolate finds the list in the cache', async (t) => {
  const target = await startTarget(t, fine);
  const backend = await startBackend(t, [probe('probe-a', target.url)]);
  // A panic empties the memory of the worker, as a new isolate would; the cache stays.
  const edge = await startEdge(t, backend, { wrapper: BREAKABLE });
  await edge.tick(0);
  await edge.fetch('/test/break');
  assert.notEqual((await edge.tick(1)).outcome, 'ok');
  await edge.fetch('/test/mend');
  backend.mode = 'down';
  await edge.tick(2);
  assert.equal(target.seen.requests.length, 2);
  backend.mode = 'up';
  await edge.tick(3);
  assert.equal(tickRecord(backend.pushes[1]).attributes.config_source, 'cache');
});

test('a batch the backend refuses for good is dropped and told', async (t) => {
  const target = await startTarget(t, fine);
  const backend = await startBackend(t, [probe('probe-a', target.url)]);
  const edge = await startEdge(t, backend);
  backend.mode = 'refuse';
  await edge.tick(0);
  backend.mode = 'up';
  await edge.tick(1);
  assert.equal(backend.attempts.length, 2);
  assert.deepEqual(backend.pushes.map((push) => push.id), [`atl-edge:LAB:${TICK + MINUTE}`]);
  const told = backend.pushes[0].logs.find((record) => record.message.startsWith('batch refused'));
  assert.match(told.message, /status 400: .*refused by the test/);
  assert.equal(told.attributes.batch_id, `atl-edge:LAB:${TICK}`);
});

test('a wrong key delivers nothing and loses nothing', async (t) => {
  const target = await startTarget(t, fine);
  const backend = await startBackend(t, [probe('probe-a', target.url)], 'another secret');
  const own = JSON.stringify({ probes: [probe('own', target.url)] });
  const edge = await startEdge(t, backend, { bindings: { ATL_PROBES: own } });
  await edge.tick(0);
  assert.equal(backend.pushes.length, 0);
  assert.ok(backend.problems.includes('signature does not match'));
  assert.equal((await (await edge.fetch('/')).json()).batches_waiting, 1);
});

test('a worker without its secrets says so and probes nothing', async (t) => {
  const backend = await startBackend(t);
  const edge = await startEdge(t, backend, { bindings: { ATL_EDGE_SECRET: null } });
  await edge.tick(0);
  assert.deepEqual([backend.attempts.length, backend.configs.length], [0, 0]);
  assert.match(edge.console.join(''), /nothing is probed: `ATL_EDGE_SECRET` is not set/);
});

test('the pages tell that it runs and nothing of what it watches', async (t) => {
  const target = await startTarget(t, fine);
  const backend = await startBackend(t, [probe('probe-a', target.url)]);
  const edge = await startEdge(t, backend);
  const before = await (await edge.fetch('/')).json();
  assert.equal(before.last_tick, null);
  await edge.tick(3);
  const answer = await edge.fetch('/');
  assert.equal(answer.headers.get('content-type'), 'application/json');
  const text = await answer.text();
  const status = JSON.parse(text);
  assert.equal(status.worker, 'atl-edge');
  assert.match(status.version, /^\d+\.\d+\.\d+$/);
  assert.deepEqual(status.last_tick, {
    scheduled_ms: TICK + 3 * MINUTE, probes_run: 1, probes_failed: 0, probes_skipped: 0, delivered: true,
  });
  for (const secret of [SECRET, backend.url, target.url, 'probe-a']) assert.ok(!text.includes(secret), secret);
  const health = await edge.fetch('/healthz');
  assert.deepEqual([health.status, await health.text()], [200, 'ok\n']);
  for (const [path, init] of [['/probes'], ['/api/edge/v1/push', { method: 'POST' }], ['/', { method: 'POST' }], ['//'], ['/healthz/']]) {
    const missing = await edge.fetch(path, init);
    assert.equal(missing.status, 404, path);
    await missing.text();
  }
});

// A main module in front of the worker that can take a part of the platform away, so that Rust panics for real.
const BREAKABLE = `
import Worker from './index.js';
const Real = globalThis.AbortController;
class Broken { constructor() { throw new Error('taken away by the test'); } }
export default class extends Worker {
  async fetch(request) {
    const path = new URL(request.url).pathname;
    if (path === '/test/break') globalThis.AbortController = Broken;
    if (path === '/test/mend') globalThis.AbortController = Real;
    if (path.startsWith('/test/')) return new Response('done');
    return super.fetch(request);
  }
}`;

test('a panic fails one event, not the next', async (t) => {
  const target = await startTarget(t, fine);
  const backend = await startBackend(t, [probe('probe-a', target.url)]);
  const edge = await startEdge(t, backend, { wrapper: BREAKABLE });
  await edge.tick(0);
  await edge.fetch('/test/break');
  const outcome = await edge.tick(1).then((answer) => answer.outcome, (error) => String(error));
  assert.notEqual(outcome, 'ok');
  assert.match(edge.console.join(''), /panicked at/);
  // The very next event is served, by a fresh instance, before anything is mended.
  const health = await edge.fetch('/healthz');
  assert.deepEqual([health.status, await health.text()], [200, 'ok\n']);
  await edge.fetch('/test/mend');
  assert.equal((await edge.tick(2)).outcome, 'ok');
  assert.deepEqual(backend.pushes.map((push) => push.id), [`atl-edge:LAB:${TICK}`, `atl-edge:LAB:${TICK + 2 * MINUTE}`]);
  assert.equal(backend.pushes[1].results[0].success, true);
});
