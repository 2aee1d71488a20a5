import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { encode } from 'fast-png';
import type { ComfyProfile } from '../../src/sim/comfy/profile.ts';
import { startSim, type Loose, type Running } from './simComfyHarness.ts';

const CONTRACTS = new URL('../../../shared/contracts/comfyui/', import.meta.url);

const PROFILES: ComfyProfile[] = ['0.3.64', '0.8.0', '0.33.0'];

/** Pairs whose values depend on what was installed: their status, type and shape are compared, not their values. */
const SHAPE_ONLY = [
  /^(\/api)?\/system_stats$/,
  /^\/models/,
  /^\/experiment\/models/,
  /^\/internal\/(files\/output|folder_paths)$/,
  /^\/object_info\/KSampler$/,
  /^\/workflow_templates$/,
  /^\/v2\/userdata\?path=/,
  /full_info=true/,
];

/** Pairs that the simulator does not answer alike, each with its reason. */
const OUT_OF_SCOPE: { profile?: ComfyProfile; method: string; path: string; part: 'all' | 'body'; reason: string }[] = [
  {
    profile: '0.3.64',
    method: 'GET',
    path: '/view_metadata/checkpoints?filename=v1-5-pruned-emaonly-fp16.safetensors',
    part: 'all',
    reason: 'that recording had an empty, hence corrupt, model file; simulated model files have no bytes',
  },
  { method: 'GET', path: '/', part: 'body', reason: 'the page of the front-end, which was a stand-in when recorded' },
  { method: 'GET', path: '/api/', part: 'body', reason: 'as above' },
  {
    method: 'GET',
    path: '/global_subgraphs',
    part: 'body',
    reason: 'a library of graphs that comes with the front-end',
  },
  {
    method: 'GET',
    path: '/node_replacements',
    part: 'body',
    reason: 'rules for classes that the simulator does not have',
  },
];

interface Pair {
  method: string;
  path: string;
  status: number;
  content_type: string | null;
  req_json?: unknown;
  req_data?: string | Record<string, string>;
  req_headers?: Record<string, string>;
  req_files?: Record<string, { filename: string; content_type: string; bytes: number }>;
  body?: Loose;
  body_text?: string;
  body_magic?: string;
  allow?: string;
  'accept-ranges'?: string;
  'content-disposition'?: string;
}

function readPairs(profile: string): Pair[] {
  const text = readFileSync(new URL(`http_golden.${profile}.jsonl`, CONTRACTS), 'utf8');
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Pair);
}

/** A small picture; `tint` makes its bytes differ. */
function picture(tint: number): Uint8Array {
  return encode({ width: 8, height: 8, channels: 4, data: new Uint8Array(256).fill(tint) });
}

function requestOf(pair: Pair, base: string): RequestInit {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(pair.req_headers ?? {})) {
    headers[name] = value.replace('HOST', new URL(base).host);
  }
  const init: RequestInit = { method: pair.method, headers, redirect: 'manual' };
  if (pair.req_json !== undefined) return { ...init, body: JSON.stringify(pair.req_json) };
  if (typeof pair.req_data === 'string') return { ...init, body: pair.req_data };
  if (pair.req_files === undefined && pair.req_data === undefined) return init;
  const form = new FormData();
  for (const [name, value] of Object.entries(pair.req_data ?? {})) form.append(name, value);
  for (const [name, file] of Object.entries(pair.req_files ?? {})) {
    // The recording does not hold the bytes: a reply that was renamed tells that they differed.
    const bytes = file.filename.endsWith('.png')
      ? picture(pair.body?.name === 'up (1).png' ? 9 : 200)
      : Buffer.from('hello');
    form.append(name, new Blob([Buffer.from(bytes)], { type: file.content_type }), file.filename);
  }
  return { ...init, body: form };
}

/** Node's fetch refuses to send some headers (Origin is fine, Sec-Fetch-Site is not): plain sockets send them all. */
async function send(pair: Pair, base: string): Promise<{ status: number; headers: Headers; bytes: Buffer }> {
  if (pair.req_headers?.['Sec-Fetch-Site'] !== undefined) {
    const { request } = await import('node:http');
    return new Promise((resolve, reject) => {
      const call = request(base + pair.path, { method: pair.method, headers: pair.req_headers }, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            headers: new Headers(response.headers as Record<string, string>),
            bytes: Buffer.concat(chunks),
          }),
        );
      });
      call.on('error', reject);
      call.end();
    });
  }
  const response = await fetch(base + pair.path, requestOf(pair, base));
  return { status: response.status, headers: response.headers, bytes: Buffer.from(await response.arrayBuffer()) };
}

/** Same keys, same kinds of values; lists are compared by their first elements. */
function sameShape(actual: Loose, expected: Loose, where: string): void {
  if (expected === null || actual === null) return;
  assert.equal(typeof actual, typeof expected, `${where}: kind`);
  assert.equal(Array.isArray(actual), Array.isArray(expected), `${where}: list`);
  if (Array.isArray(expected)) {
    if (expected.length > 0 && actual.length > 0) sameShape(actual[0], expected[0], `${where}[0]`);
  } else if (typeof expected === 'object') {
    const keys = Object.keys(expected).sort();
    assert.deepEqual(Object.keys(actual).sort(), keys, `${where}: keys`);
    for (const key of keys) sameShape(actual[key], expected[key], `${where}.${key}`);
  }
}

async function comparePair(pair: Pair, run: Running, profile: ComfyProfile): Promise<void> {
  const answer = await send(pair, run.base);
  const exempt = OUT_OF_SCOPE.find(
    (entry) =>
      entry.method === pair.method &&
      entry.path === pair.path &&
      (entry.profile === undefined || entry.profile === profile),
  );
  if (exempt?.part === 'all') return;
  assert.equal(answer.status, pair.status, 'status');
  assert.equal(answer.headers.get('content-type'), pair.content_type, 'content type');
  for (const name of ['allow', 'accept-ranges', 'content-disposition'] as const) {
    assert.equal(answer.headers.get(name), pair[name] ?? null, name);
  }
  if (exempt || pair.method === 'HEAD') return;
  if (pair.body_magic !== undefined) {
    assert.equal(answer.bytes.subarray(0, 4).toString('hex'), pair.body_magic.slice(0, 8), 'first bytes');
  } else if (pair.body_text !== undefined) {
    assert.equal(answer.bytes.toString('utf8'), pair.body_text, 'text');
  } else if (pair.body !== undefined && pair.body?._omitted === undefined) {
    const body = JSON.parse(answer.bytes.toString('utf8')) as unknown;
    if (SHAPE_ONLY.some((pattern) => pattern.test(pair.path))) sameShape(body, pair.body, 'body');
    else assert.deepEqual(body, pair.body, 'body');
  }
}

describe('simulated ComfyUI against recorded HTTP pairs', function () {
  before(function () {
    if (existsSync(CONTRACTS)) return;
    console.log('      skipped: the recordings of real servers (../shared/contracts) are not here');
    this.skip();
  });

  for (const profile of PROFILES) {
    it(`answers as ${profile} did`, async () => {
      const sample = JSON.parse(readFileSync(new URL('models.sample.json', CONTRACTS), 'utf8'));
      const run = await startSim({
        profile,
        models: sample.folders,
        nodePacks: ['ComfyUI-AnimateDiff-Evolved', 'ComfyUI-VideoHelperSuite', 'ComfyUI_IPAdapter_plus'],
        inputs: { 'example.png': picture(120), 'face.png': picture(90) },
        cpu: true,
      });
      const differences: string[] = [];
      try {
        for (const [index, pair] of readPairs(profile).entries()) {
          await comparePair(pair, run, profile).catch((failure: unknown) => {
            const message = failure instanceof Error ? failure.message : String(failure);
            differences.push(`#${index} ${pair.method} ${pair.path}: ${message}`);
          });
        }
      } finally {
        await run.stop();
      }
      assert.deepEqual(differences, []);
    });
  }

  it('exempts few pairs, and none without a reason', () => {
    assert.ok(OUT_OF_SCOPE.length <= 5);
    for (const entry of OUT_OF_SCOPE) assert.notEqual(entry.reason, '');
    const all = PROFILES.flatMap(readPairs);
    for (const entry of OUT_OF_SCOPE) {
      assert.ok(
        all.some((pair) => pair.method === entry.method && pair.path === entry.path),
        `${entry.path} is recorded`,
      );
    }
  });
});
