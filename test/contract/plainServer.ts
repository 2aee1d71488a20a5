import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface PlainServer {
  readonly base: string;
  readonly requests: readonly string[];
  close(): Promise<void>;
}

/** An HTTP server that is no ComfyUI, or a false one. */
export async function startPlainServer(
  answer: (request: IncomingMessage, response: ServerResponse, url: URL) => void,
): Promise<PlainServer> {
  const requests: string[] = [];
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://plain');
    requests.push(`${request.method} ${url.pathname}`);
    answer(request, response, url);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    base: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    close: async () => {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

export interface ClaimedFile {
  readonly filename: unknown;
  readonly subfolder?: unknown;
  readonly type?: unknown;
  readonly score?: number;
}

/** A ComfyUI that runs nothing and claims to have made files of these names; asked for any file it sends `bytes`. */
export function startFalseComfy(
  files: readonly ClaimedFile[],
  bytes: Uint8Array,
  text: (body: unknown) => string = JSON.stringify,
): Promise<PlainServer> {
  let promptId = '';
  const json = (response: ServerResponse, body: unknown): void =>
    void response.writeHead(200, { 'content-type': 'application/json' }).end(text(body));
  const images = files.map((file) => ({ subfolder: '', type: 'output', ...file }));
  return startPlainServer((request, response, { pathname }) => {
    if (request.method === 'POST' && pathname === '/prompt') {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        promptId = (JSON.parse(Buffer.concat(chunks).toString()) as { prompt_id: string }).prompt_id;
        json(response, { prompt_id: promptId, number: 1, node_errors: {} });
      });
    } else if (pathname === '/prompt') json(response, { exec_info: { queue_remaining: 0 } });
    else if (pathname === '/system_stats') {
      json(response, { system: { comfyui_version: '9.9.9' }, devices: [{ name: 'cpu', type: 'cpu' }] });
    } else if (pathname.startsWith('/object_info/')) {
      json(response, { [decodeURIComponent(pathname.slice('/object_info/'.length))]: { input: {}, least: NaN } });
    } else if (pathname.startsWith('/history/')) {
      const entry = { outputs: { '2': { images } }, status: { status_str: 'success', completed: true, messages: [] } };
      json(response, promptId === '' ? {} : { [promptId]: entry });
    } else if (pathname === '/queue') json(response, { queue_running: [], queue_pending: [] });
    else if (pathname === '/view') response.writeHead(200, { 'content-type': 'image/png' }).end(bytes);
    else response.writeHead(404).end();
  });
}
