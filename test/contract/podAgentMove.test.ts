// How a pod's ComfyUI gets behind the agent, whatever starts it; and what happens where it cannot.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { eventually, hasPython, pause, serve, startContainer } from './podAgentWorld.ts';
import type { Container } from './podAgentWorld.ts';

/** Reads its arguments as ComfyUI does (comfy/cli_args.py: the last one counts) and tells where it listens. */
const comfy = `
import argparse, asyncio, sys
parser = argparse.ArgumentParser()
parser.add_argument('--listen', default='127.0.0.1', nargs='?', const='0.0.0.0,::')
parser.add_argument('--port', type=int, default=8188)
args = parser.parse_args()

async def answer(reader, writer):
    await reader.readuntil(b'\\r\\n\\r\\n')
    body = b'{"exec_info":{"queue_remaining":0},"port":%d}' % args.port
    writer.write(b'HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\nConnection: close\\r\\n\\r\\n' % len(body) + body)
    writer.close()

async def main():
    server = await asyncio.start_server(answer, args.listen.split(','), args.port)
    for one in server.sockets:
        print('listening on %s:%d' % one.getsockname()[:2], flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
`;

describe('ComfyUI behind the pod agent', function () {
  this.timeout(60_000);
  let folder: string;
  let door: number;
  let hidden: number;
  const containers: Container[] = [];

  before(function () {
    if (!hasPython()) {
      console.log('      skipped: no python3 from 3.8 on, so the agent cannot run here');
      this.skip();
    }
  });
  beforeEach(async () => {
    folder = mkdtempSync(path.join(os.tmpdir(), 'podrelay-move-'));
    mkdirSync(path.join(folder, 'comfy'));
    writeFileSync(path.join(folder, 'main.py'), comfy);
    writeFileSync(path.join(folder, 'other.py'), comfy);
    const free = async (): Promise<number> => {
      const served = await serve(net.createServer());
      await served.close();
      return served.port;
    };
    door = await free();
    hidden = await free();
  });
  afterEach(async () => {
    for (const one of containers.splice(0)) await one.end();
    rmSync(folder, { recursive: true, force: true });
  });

  function boot(command: string, env: Readonly<Record<string, string>> = {}): Container {
    const startCommand = path.join(folder, 'start.sh');
    writeFileSync(startCommand, `#!/bin/sh\ncd '${folder}'\n${command}\nexec sleep 60\n`);
    chmodSync(startCommand, 0o755);
    const own = { PODRELAY_DOOR_PORT: String(door), PODRELAY_POLL_SECONDS: '1', ...env };
    const one = startContainer(hidden, { startCommand, env: own });
    containers.push(one);
    return one;
  }
  function get(port: number, token?: string): Promise<{ status: number; text: string } | undefined> {
    return new Promise((resolve) => {
      const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
      const request = http.get({ port, host: '127.0.0.1', path: '/prompt', headers }, (reply) => {
        let text = '';
        reply.on('data', (data: Buffer) => (text += data.toString()));
        reply.on('end', () => resolve({ status: reply.statusCode ?? 0, text }));
      });
      request.on('error', () => resolve(undefined));
    });
  }
  async function answering(one: Container): Promise<string> {
    for (const end = Date.now() + 20_000; Date.now() < end; await pause(50)) {
      const reply = await get(door, one.token);
      if (reply?.status === 200) return reply.text;
    }
    return assert.fail(one.log());
  }

  const ways: Record<string, () => string> = {
    "as RunPod's image starts it": () => `nohup python main.py --listen 0.0.0.0 --port ${door} 2>&1 &`,
    'with arguments of its own that name the port': () =>
      `python main.py --listen 0.0.0.0 --port 1 --listen --port ${door} &`,
    'by another name, on the port alone': () => `python other.py --listen 0.0.0.0 --port ${door} &`,
    'in a virtual environment': () =>
      `python3 -m venv --without-pip env && . env/bin/activate && python main.py --listen --port ${door} &`,
  };
  for (const [way, command] of Object.entries(ways)) {
    it(`is moved ${way}`, async () => {
      const bin = path.join(folder, 'bin');
      mkdirSync(bin);
      const python = spawnSync('python3', ['-c', 'import sys; print(sys.executable)']).stdout.toString().trim();
      symlinkSync(python, path.join(bin, 'python'));
      const one = boot(command(), { PATH: `${process.env.PATH}:${bin}` });
      await answering(one);
      const places = [...one.log().matchAll(/listening on (\S+):(\d+)/g)].map(([, host, port]) => `${host}:${port}`);
      assert.ok(
        places.length > 0 && places.every((at) => [`127.0.0.1:${hidden}`, `::1:${hidden}`].includes(at)),
        places.join(),
      );
      assert.equal((await get(door))?.status, 401);
    });
  }

  it('knows its new port, for the node packs that ask it', async () => {
    const one = boot(`python3 main.py --listen 0.0.0.0 --port ${door} &`);
    assert.match(await answering(one), new RegExp(`"port":${hidden}\\b`));
    assert.match(one.log(), /ComfyUI goes to 127\.0\.0\.1/);
  });

  it("still loads the image's own sitecustomize", async () => {
    const site = path.join(folder, 'site');
    mkdirSync(site);
    writeFileSync(path.join(site, 'sitecustomize.py'), 'print("the own one of the image", flush=True)\n');
    const one = boot(`python3 main.py --port ${door} &`, { PYTHONPATH: site });
    await answering(one);
    assert.match(one.log(), /the own one of the image/);
  });

  it('is unusable where it cannot be moved, but never open', async () => {
    const one = boot(`python3 -I main.py --listen 0.0.0.0 --port ${door} || echo ComfyUI has ended`);
    await eventually(() => one.log().includes('ComfyUI has ended'), one.log);
    assert.match(one.log(), /address already in use/);
    assert.equal((await get(door))?.status, 401);
    assert.equal((await get(door, one.token))?.status, 502);
  });

  it('is not started when the agent cannot take its place', async () => {
    const taken = await serve(net.createServer());
    try {
      const one = boot('echo ComfyUI was started', {
        PODRELAY_DOOR_PORT: String(taken.port),
        PODRELAY_READY_SECONDS: '2',
      });
      await eventually(() => one.log().includes('ComfyUI is not started'), one.log);
      await pause(500);
      assert.match(one.log(), /cannot run: Address already in use/);
      assert.ok(!one.log().includes('ComfyUI was started'), one.log());
    } finally {
      await taken.close();
    }
  });

  it('is started with the watchdog alone where there is no Python, and the log says that it is open', async () => {
    const bin = path.join(folder, 'bin');
    mkdirSync(bin);
    for (const tool of ['sh', 'sleep', 'tr', 'date', 'cat', 'mktemp', 'curl']) {
      const where = spawnSync('sh', ['-c', `command -v ${tool}`])
        .stdout.toString()
        .trim();
      if (where !== '') symlinkSync(where, path.join(bin, tool));
    }
    const one = boot('echo ComfyUI was started', { PATH: bin });
    await eventually(() => one.log().includes('ComfyUI was started'), one.log);
    assert.match(one.log(), /no Python 3\.8 for the agent: its ComfyUI is open/);
  });
});
