// One cron event, real servers, and what the backend is told of them.

import assert from 'node:assert/strict';
import net from 'node:net';
import test from 'node:test';
import { TICK, byProbe, probe, resultId, startBackend, startEdge, startTarget, tickRecord } from './harness.mjs';

const ok = (text) => (_, response) => response.end(text);
const redirect = (status, to) => (_, response) => response.writeHead(status, { location: to }).end('moved');
const slow = (ms, text = 'late') => (_, response) => setTimeout(() => response.end(text), ms);

test('one tick tells of good and bad targets', async (t) => {
  const target = await startTarget(t, {
    '/ok': ok('welcome home'),
    '/error': (_, response) => response.writeHead(500).end('broken'),
    '/slow': slow(3000),
    '/hop': redirect(302, '/hop2?token=secret'),
    '/hop2': redirect(301, 'ok'),
    '/loop': redirect(302, '/loop'),
    '/elsewhere': redirect(302, 'ftp://127.0.0.1/'),
  });
  const closed = net.createServer();
  await new Promise((ready) => closed.listen(0, '127.0.0.1', ready));
  const closedPort = closed.address().port;
  await new Promise((done) => closed.close(done));
  const backend = await startBackend(t, [
    probe('probe-ok', `${target.url}/ok`, { expect: { body_contains: ['welcome'] } }),
    probe('probe-error', `${target.url}/error`),
    probe('probe-slow', `${target.url}/slow`, { timeout_ms: 300 }),
    probe('probe-hop', `${target.url}/hop`, { expect: { body_contains: ['home'] } }),
    probe('probe-loop', `${target.url}/loop`, { expect: { max_redirects: 2 } }),
    probe('probe-stay', `${target.url}/hop`, { expect: { follow_redirects: false, status: [302] } }),
    probe('probe-elsewhere', `${target.url}/elsewhere`),
    probe('probe-body', `${target.url}/ok`, { expect: { body_contains: ['goodbye'] } }),
    probe('probe-forbidden', `${target.url}/ok`, { expect: { body_not_contains: ['home'] } }),
    probe('probe-refused', `http://127.0.0.1:${closedPort}/`),
    probe('probe-redirect-status', `${target.url}/error`, { expect: { status: ['2xx', '500-503'] } }),
  ]);
  const edge = await startEdge(t, backend);
  const answer = await edge.tick();
  assert.equal(answer.outcome, 'ok');
  assert.deepEqual(backend.problems, []);
  assert.equal(backend.pushes.length, 1);

  const push = backend.pushes[0];
  assert.equal(push.id, `atl-edge:LAB:${TICK}`);
  assert.equal(push.worker, 'atl-edge');
  assert.equal(push.location, 'LAB');
  const results = byProbe(push);
  const verdicts = Object.fromEntries(push.results.map((result) => [result.probe, result.reason ?? 'success']));
  assert.deepEqual(verdicts, {
    'probe-ok': 'success',
    'probe-error': 'status',
    'probe-slow': 'timeout',
    'probe-hop': 'success',
    'probe-loop': 'too_many_redirects',
    'probe-stay': 'success',
    'probe-elsewhere': 'invalid_url',
    'probe-body': 'body_missing',
    'probe-forbidden': 'body_forbidden',
    'probe-refused': 'connect',
    'probe-redirect-status': 'success',
  });
  for (const result of push.results) {
    assert.equal(result.result_id, resultId(result.probe, 'LAB', TICK));
    assert.equal(result.success, result.reason === undefined);
    assert.equal(result.scheduled_ms, TICK);
    assert.equal(result.kind, 'http');
  }

  assert.equal(results['probe-ok'].status_code, 200);
  assert.equal(results['probe-ok'].body_bytes, 'welcome home'.length);
  assert.ok(results['probe-ok'].phases.first_byte_seconds > 0);
  assert.ok(results['probe-ok'].phases.transfer_seconds >= 0);
  const { first_byte_seconds: first, transfer_seconds: transfer } = results['probe-ok'].phases;
  assert.ok(first + transfer <= results['probe-ok'].duration_seconds + 0.001);
  const late = results['probe-slow'];
  assert.ok(late.duration_seconds >= 0.29 && late.duration_seconds < 2, `${late.duration_seconds}`);
  assert.equal(late.status_code, undefined);

  const hop = results['probe-hop'];
  assert.deepEqual([hop.status_code, hop.redirects], [200, 2]);
  assert.equal(hop.attributes.final_url, `${target.url}/ok`);
  assert.match(hop.attributes.hops, /^302 \d+\.\d{3} \S+\/hop > 301 \d+\.\d{3} \S+\/hop2 > 200 \d+\.\d{3} \S+\/ok$/);
  assert.equal(results['probe-loop'].redirects, 2);
  assert.ok(!JSON.stringify(push).includes('token=secret'), 'a query of a redirect is not stored');

  const record = tickRecord(push);
  assert.equal(record.level, 'info');
  const { probes_due, probes_run, probes_failed, config_source } = record.attributes;
  assert.deepEqual({ probes_due, probes_run, probes_failed, config_source },
    { probes_due: '11', probes_run: '11', probes_failed: '7', config_source: 'backend' });
  const failed = push.logs.filter((record) => record.message.startsWith('probe failed'));
  assert.equal(failed.length, 7);
  const told = failed.find((record) => record.attributes.probe === 'probe-error');
  assert.equal(told.attributes.reason, 'status');
  assert.equal(told.attributes.error, 'status 500, expected 2xx');
  assert.equal(told.attributes.result_id, results['probe-error'].result_id);
});

test('requests are sent as specified, and secrets stay with their origin', async (t) => {
  const other = await startTarget(t, { '/landed': ok('done') });
  const target = await startTarget(t, {
    '/form': (_, response) => response.writeHead(303, { location: '/after' }).end(),
    '/after': (_, response) => response.writeHead(307, { location: `${other.url}/landed` }).end(),
  });
  const bodies = [];
  const echo = await startTarget(t, {
    '/': async (request, response) => {
      let body = '';
      for await (const chunk of request) body += chunk;
      bodies.push(body);
      response.end('got it');
    },
  });
  const headers = { authorization: 'Bearer x', 'x-key': 'k', accept: 'text/html' };
  const backend = await startBackend(t, [
    probe('probe-form', `${target.url}/form`, { method: 'POST', headers, body: 'a=b' }),
    probe('probe-echo', `${echo.url}/`, { method: 'PUT', body: 'grüße', headers: { 'user-agent': 'custom/1' } }),
    probe('probe-head', `${echo.url}/`, { method: 'HEAD' }),
  ]);
  const edge = await startEdge(t, backend);
  await edge.tick();
  assert.deepEqual(backend.pushes[0].results.map((result) => [result.probe, result.reason, result.status_code]),
    [['probe-echo', undefined, 200], ['probe-form', undefined, 200], ['probe-head', undefined, 200]]);
  const [form, after] = target.seen.requests;
  assert.deepEqual([form.method, form.headers.authorization, form.headers['x-key']], ['POST', 'Bearer x', 'k']);
  assert.match(form.headers['user-agent'], /^atl-edge\//);
  assert.deepEqual([after.method, after.headers.authorization], ['GET', 'Bearer x']);
  const [landed] = other.seen.requests;
  assert.deepEqual([landed.method, landed.headers.authorization, landed.headers['x-key'], landed.headers.accept],
    ['GET', undefined, undefined, 'text/html']);
  assert.deepEqual(bodies.filter(Boolean), ['grüße']);
  assert.ok(echo.seen.requests.some((request) => request.headers['user-agent'] === 'custom/1'));
});

test('bodies are read only up to the limit', async (t) => {
  const pad = Buffer.alloc(64 * 1024, 'x');
  const endless = (_, response, seen) => {
    const more = () => {
      while (!response.destroyed && response.write(pad)) seen.bytesSent += pad.length;
      if (!response.destroyed) response.once('drain', more);
    };
    more();
  };
  const target = await startTarget(t, {
    '/endless': endless,
    '/torn': (_, response) => {
      response.writeHead(200, { 'content-length': '1000' });
      response.write('only this');
      setTimeout(() => response.destroy(), 50);
    },
  });
  const backend = await startBackend(t, [
    probe('probe-endless', `${target.url}/endless`),
    probe('probe-sought', `${target.url}/endless`, { expect: { body_contains: ['needle'] } }),
    probe('probe-torn', `${target.url}/torn`),
  ]);
  const edge = await startEdge(t, backend);
  await edge.tick();
  const results = byProbe(backend.pushes[0]);
  assert.equal(results['probe-endless'].success, true);
  assert.equal(results['probe-endless'].body_bytes, 1024 * 1024);
  assert.equal(results['probe-endless'].attributes.body_cut, 'true');
  assert.equal(results['probe-sought'].reason, 'body_too_large');
  assert.ok(['connect', 'protocol'].includes(results['probe-torn'].reason), results['probe-torn'].reason);
  await new Promise((wait) => setTimeout(wait, 200));
  const sent = target.seen.bytesSent;
  await new Promise((wait) => setTimeout(wait, 200));
  assert.equal(target.seen.bytesSent, sent, 'the connections of cut bodies are closed');
});

test('texts are found where they lie across two chunks, and phases are told apart', async (t) => {
  const target = await startTarget(t, {
    '/split': async (_, response) => {
      for (const part of ['need', 'le in ', 'the hay']) {
        response.write(part);
        await new Promise((next) => setTimeout(next, 60));
      }
      response.end('stack');
    },
  });
  const expect = { body_contains: ['needle', 'haystack'] };
  const backend = await startBackend(t, [probe('probe-split', `${target.url}/split`, { expect })]);
  const edge = await startEdge(t, backend);
  await edge.tick();
  const { success, phases, body_bytes: bytes } = byProbe(backend.pushes[0])['probe-split'];
  assert.deepEqual([success, bytes], [true, 'needle in the haystack'.length]);
  assert.ok(phases.transfer_seconds > 0.1, `${phases.transfer_seconds} s for three pauses of 60 ms`);
});

test('no more than five probes run at once, and all of them run', async (t) => {
  const target = await startTarget(t, { '/': slow(150, 'fine') });
  const probes = Array.from({ length: 17 }, (_, i) => probe(`probe-${i}`, `${target.url}/?${i}`));
  const backend = await startBackend(t, probes);
  const edge = await startEdge(t, backend);
  const begin = Date.now();
  await edge.tick();
  const took = Date.now() - begin;
  assert.equal(backend.pushes[0].results.filter((result) => result.success).length, 17);
  assert.equal(target.seen.openMax, 5);
  assert.ok(took < 17 * 150, `${took} ms is as slow as one after the other`);
});

test('the budget of requests holds, and skipped probes are told, not failed', async (t) => {
  const target = await startTarget(t, { '/': ok('fine'), '/far': redirect(302, '/far2'), '/far2': redirect(302, '/') });
  // 14 requests, 7 of them reserved: probe list 3, push 1, retries 3.
  const probes = Array.from({ length: 10 }, (_, i) => probe(`probe-${i}`, `${target.url}/${i === 0 ? 'far' : ''}`));
  const backend = await startBackend(t, probes);
  const edge = await startEdge(t, backend, { bindings: { ATL_SUBREQUESTS_MAX: '14' } });
  const ran = new Set();
  for (let minute = 0; minute < 10; minute += 1) {
    const before = target.seen.requests.length + backend.attempts.length + backend.configs.length;
    await edge.tick(minute);
    const made = target.seen.requests.length + backend.attempts.length + backend.configs.length - before;
    assert.ok(made <= 14, `${made} requests`);
    const push = backend.pushes[minute];
    const record = tickRecord(push);
    const skipped = record.attributes.skipped.split(',');
    assert.equal(record.level, 'warn');
    assert.equal(push.results.length + skipped.length, 10);
    assert.equal(Number(record.attributes.probes_skipped), skipped.length);
    assert.ok(push.results.every((result) => result.success), 'nothing failed');
    assert.ok(push.results.every((result) => !skipped.includes(result.probe)));
    push.results.forEach((result) => ran.add(result.probe));
  }
  const expected = probes.map((each) => each.name).filter((name) => name !== 'probe-0');
  assert.ok(expected.every((name) => ran.has(name)), 'nobody is skipped for ever');
});

test('probes with longer intervals run when they are due', async (t) => {
  const target = await startTarget(t, { '/': ok('fine') });
  const backend = await startBackend(t, [
    probe('probe-minute', `${target.url}/`),
    probe('probe-five', `${target.url}/`, { interval_seconds: 300 }),
  ]);
  const edge = await startEdge(t, backend);
  for (let minute = 0; minute < 10; minute += 1) await edge.tick(minute);
  const count = (name) => backend.pushes.filter((push) => byProbe(push)[name]).length;
  assert.deepEqual([count('probe-minute'), count('probe-five')], [10, 2]);
});

test('a server that talks no HTTP is a failure of its own kind', async (t) => {
  const sockets = new Set();
  const server = net.createServer((socket) => {
    sockets.add(socket.on('error', () => {}));
    socket.end('220 mail.example ESMTP\r\n');
  });
  await new Promise((ready) => server.listen(0, '127.0.0.1', ready));
  t.after(() => {
    sockets.forEach((socket) => socket.destroy());
    return new Promise((closed) => server.close(closed));
  });
  const plain = await startTarget(t, { '/': ok('fine') });
  const backend = await startBackend(t, [
    probe('probe-smtp', `http://127.0.0.1:${server.address().port}/`),
    probe('probe-plain', plain.url.replace('http:', 'https:')),
  ]);
  const edge = await startEdge(t, backend);
  await edge.tick();
  const results = byProbe(backend.pushes[0]);
  const told = [results['probe-smtp'], results['probe-plain']].map((r) => `${r.reason}: ${r.attributes.error}`);
  assert.match(told[0], /^(protocol|connect): /);
  // Of a failed handshake workerd says "internal error" and a reference; that is no ground to name a cause.
  assert.match(told[1], /^(tls|connect|other): /);
});
