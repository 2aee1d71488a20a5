import { idOf, integerQuery, type Call, type Route } from './call.ts';
import type { Catalog } from './catalog.ts';
import { invalid, Refusal, type Reply } from './problem.ts';
import type { ServerlessBehaviour } from './serverlessBehaviour.ts';
import { endpointView, releasesView, workersView, type EndpointRecord } from './serverlessEndpoint.ts';
import { applyUpdate, parseCreateEndpoint, type EndpointSpec } from './serverlessRequest.ts';

/** Endpoints as their owner manages them: list, create, get, change, delete; their workers and releases. */
export function serverlessRoutes(deps: {
  /** Oldest first. */
  readonly endpoints: () => readonly EndpointRecord[];
  readonly catalog: Catalog;
  readonly behaviour: ServerlessBehaviour;
  create(spec: EndpointSpec): EndpointRecord;
  change(endpoint: EndpointRecord, spec: EndpointSpec): void;
  remove(endpoint: EndpointRecord): void;
  now(): number;
  skewMs(): number;
}): Route[] {
  const { behaviour, catalog } = deps;
  const unset = new Set<string>();

  const view = (endpoint: EndpointRecord): object => {
    const timeout = unset.has(endpoint.id) && behaviour.timeoutReads === 'zero' ? 0 : endpoint.spec.timeout;
    return endpointView(endpoint, jobsUrl, deps.skewMs(), timeout);
  };
  const find = (call: Call): EndpointRecord => {
    const endpoint = deps.endpoints().find(({ id }) => id === idOf(call));
    if (!endpoint) throw new Refusal(404, 'endpoint not found');
    return endpoint;
  };

  const list = (call: Call): Reply => {
    const limit = integerQuery(call.query, 'limit', { least: 1, most: 1000, otherwise: 1000 });
    const newestFirst = deps.endpoints().toReversed();
    const cursor = call.query.get('cursor');
    const after = cursor === null ? -1 : newestFirst.findIndex(({ id }) => cursorOf(id) === cursor);
    if (cursor !== null && after < 0) {
      throw invalid([`query parameter 'cursor': malformed or issued for another request`]);
    }
    const page = newestFirst.slice(after + 1, after + 1 + limit);
    const last = page.at(-1);
    const more = after + 1 + page.length < newestFirst.length;
    const nextCursor = more && last ? cursorOf(last.id) : null;
    return {
      status: 200,
      body: { endpoints: page.map(view), pagination: { nextCursor, hasNextPage: nextCursor !== null } },
    };
  };

  return [
    { method: 'GET', path: '/v2/serverless', operation: 'listEndpoints', run: list },
    {
      method: 'POST',
      path: '/v2/serverless',
      operation: 'createEndpoint',
      run: (call) => {
        const endpoint = deps.create(parseCreateEndpoint(call.body, catalog));
        if (!/"timeout"\s*:/.test(call.body)) unset.add(endpoint.id);
        return { status: 201, body: view(endpoint) };
      },
    },
    {
      method: 'GET',
      path: '/v2/serverless/:id',
      operation: 'getEndpoint',
      run: (call) => ({ status: 200, body: view(find(call)) }),
    },
    {
      method: 'PATCH',
      path: '/v2/serverless/:id',
      operation: 'updateEndpoint',
      run: (call) => {
        const endpoint = find(call);
        deps.change(endpoint, applyUpdate(endpoint.spec, call.body, catalog));
        if (/"timeout"\s*:/.test(call.body)) unset.delete(endpoint.id);
        return { status: 200, body: view(endpoint) };
      },
    },
    {
      method: 'DELETE',
      path: '/v2/serverless/:id',
      operation: 'deleteEndpoint',
      run: (call) => {
        deps.remove(find(call));
        return { status: 204 };
      },
    },
    {
      method: 'GET',
      path: '/v2/serverless/:id/workers',
      operation: 'listEndpointWorkers',
      run: (call) => ({ status: 200, body: workersView(find(call), deps.now(), behaviour, deps.skewMs()) }),
    },
    {
      method: 'GET',
      path: '/v2/serverless/:id/releases',
      operation: 'listEndpointReleases',
      run: (call) => ({ status: 200, body: releasesView(find(call), deps.skewMs()) }),
    },
  ];
}

/** As in life, whatever address the simulator's own job API has: nobody should build requests from these. */
const jobsUrl = 'https://api.runpod.ai/v2';

const cursorOf = (id: string): string => Buffer.from(`serverless:${id}`).toString('base64url');
