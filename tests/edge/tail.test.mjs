// Other workers' logs, by the tail handler.

import assert from 'node:assert/strict';
import test from 'node:test';
import { eventually, startBackend, startEdge } from './harness.mjs';

const SHOP = {
  name: 'shop',
  tails: ['edge'],
  script: `
export default {
  async fetch(request) {
    const path = new URL(request.url).pathname;
    console.log('visited', path, { items: 2 });
    console.warn('low stock');
    if (path === '/crash') throw new TypeError('x is null');
    if (path === '/flood') for (let i = 0; i < 200; i += 1) console.log(i + ' ' + 'x'.repeat(500));
    return new Response('sold', { status: path === '/gone' ? 410 : 200 });
  },
  async scheduled() { console.error('nightly failed'); },
}`,
};

const logsOf = (backend) => backend.pushes.flatMap((push) => push.logs);
const summaryOf = (backend, part) =>
  logsOf(backend).find((record) => record.attributes?.record === 'summary' && record.message.includes(part));

test('what another worker logs, throws and answers becomes records', async (t) => {
  const backend = await startBackend(t);
  const edge = await startEdge(t, backend, { others: [SHOP] });
  const shop = await edge.worker('shop');
  assert.equal(await (await shop.fetch('http://shop.test/gone?id=1')).text(), 'sold');
  const summary = await eventually(() => summaryOf(backend, '/gone'), 'the summary of /gone');
  assert.deepEqual(backend.problems, []);
  assert.equal(summary.level, 'info');
  const { event, method, url, status, outcome } = summary.attributes;
  assert.deepEqual({ event, method, url, status, outcome },
    { event: 'fetch', method: 'GET', url: 'http://shop.test/gone?id=1', status: '410', outcome: 'ok' });
  const messages = logsOf(backend).map((record) => `${record.level} ${record.message}`);
  assert.ok(messages.includes('info visited /gone {"items":2}'), messages.join('\n'));
  assert.ok(messages.includes('warn low stock'));
  for (const push of backend.pushes) {
    assert.match(push.id, /^atl-edge:LAB:tail:\d+:[0-9a-f-]{36}$/);
    assert.deepEqual(push.results, []);
  }

  await shop.fetch('http://shop.test/crash').then((response) => response.text(), () => {});
  const crash = await eventually(() => summaryOf(backend, '/crash'), 'the summary of /crash');
  assert.deepEqual([crash.level, crash.attributes.outcome], ['error', 'exception']);
  const thrown = logsOf(backend).find((record) => record.attributes?.exception);
  assert.equal(thrown.message, 'TypeError: x is null');

  await shop.scheduled({ cron: '0 3 * * *' });
  const cron = await eventually(() => summaryOf(backend, 'scheduled ok'), 'the summary of the cron event');
  assert.deepEqual([cron.attributes.event, cron.attributes.cron], ['scheduled', '0 3 * * *']);
  assert.ok(logsOf(backend).some((record) => record.level === 'error' && record.message === 'nightly failed'));
});

test('many records come whole and in order', async (t) => {
  const backend = await startBackend(t);
  const edge = await startEdge(t, backend, { others: [SHOP] });
  await (await (await edge.worker('shop')).fetch('http://shop.test/flood')).text();
  await eventually(() => summaryOf(backend, '/flood'), 'the summary of /flood');
  const numbers = logsOf(backend).map((record) => /^(\d+) x/.exec(record.message)?.[1]).filter(Boolean).map(Number);
  assert.deepEqual(numbers, Array.from({ length: 200 }, (_, i) => i));
});

test('tail records wait while the backend is down', async (t) => {
  const backend = await startBackend(t);
  backend.mode = 'down';
  const edge = await startEdge(t, backend, { others: [SHOP] });
  const shop = await edge.worker('shop');
  await (await shop.fetch('http://shop.test/first')).text();
  await eventually(() => backend.attempts.length > 0, 'a try');
  const [{ id }] = backend.attempts;
  await eventually(async () => (await (await edge.fetch('/')).json()).batches_waiting === 1, 'the batch waits');
  backend.mode = 'up';
  await (await shop.fetch('http://shop.test/second')).text();
  await eventually(() => summaryOf(backend, '/second'), 'the summary of /second');
  assert.equal(backend.pushes[0].id, id);
  assert.ok(summaryOf(backend, '/first'));
});
