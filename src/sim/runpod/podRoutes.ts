import type { RunpodBehaviour } from './behaviour.ts';
import { idOf, integerQuery, type Call, type Route } from './call.ts';
import type { Pods } from './pods.ts';
import { podView, type PodRecord } from './podRecord.ts';
import { parseAction, parseCreate, parseUpdate } from './podRequest.ts';
import { invalid, type Reply } from './problem.ts';

/** List, create, get, change, delete and act. */
export function podRoutes(deps: {
  readonly pods: Pods;
  readonly behaviour: RunpodBehaviour;
  now(): number;
  skewMs(): number;
}): Route[] {
  const { pods, behaviour } = deps;
  const view = (pod: PodRecord): object => podView(pod, deps.now(), behaviour, deps.skewMs());

  const list = (call: Call): Reply => {
    const includeCluster = call.query.get('includeClusterPods');
    if (includeCluster !== null && includeCluster !== 'true' && includeCluster !== 'false') {
      throw invalid([`query parameter 'includeClusterPods': got '${includeCluster}', want boolean`]);
    }
    const limit = integerQuery(call.query, 'limit', { least: 1, most: 1000, otherwise: 1000 });
    const shown = pods.listed(includeCluster === 'true');
    if (behaviour.pagination === 'absent') return { status: 200, body: { pods: shown.map(view) } };
    const scope = `listPods:${includeCluster ?? 'false'}`;
    const after = readCursor(call.query.get('cursor'), scope);
    // The cursor names a pod of this moment: newer ones that appear between two pages shift nothing.
    const start =
      after === undefined ? 0 : shown.findIndex((pod) => pod.createdAt <= after.at && pod.id === after.id) + 1;
    const page = shown.slice(start, start + limit);
    const last = page.at(-1);
    const more = start + page.length < shown.length;
    // A page may hold fewer than `limit` although more exist (cluster members are taken out after the cut).
    const items = behaviour.pagination === 'shortPages' && more ? page.slice(0, -1) : page;
    const anchor = behaviour.pagination === 'shortPages' && more ? (items.at(-1) ?? last) : last;
    const stuck = behaviour.pagination === 'stuckCursor' && shown.length > 0;
    const nextCursor = stuck
      ? cursorOf(scope, { at: Infinity, id: '' })
      : more && anchor
        ? cursorOf(scope, { at: anchor.createdAt, id: anchor.id })
        : null;
    return {
      status: 200,
      body: { pods: items.map(view), pagination: { nextCursor, hasNextPage: nextCursor !== null } },
    };
  };

  return [
    { method: 'GET', path: '/v2/pods', operation: 'listPods', run: list },
    {
      method: 'POST',
      path: '/v2/pods',
      operation: 'createPod',
      run: (call) => {
        const pod = pods.create(parseCreate(call.body, behaviour.createBodyLimitBytes));
        const odd = behaviour.actionsOnCreate === 'example' ? { actions: ['start', 'terminate'] } : {};
        return { status: 201, body: { ...view(pod), ...odd } };
      },
    },
    {
      method: 'GET',
      path: '/v2/pods/:id',
      operation: 'getPod',
      run: (call) => ({ status: 200, body: view(pods.visible(idOf(call))) }),
    },
    {
      method: 'PATCH',
      path: '/v2/pods/:id',
      operation: 'updatePod',
      run: (call) => {
        const pod = pods.visible(idOf(call));
        pods.update(pod, parseUpdate(call.body));
        return { status: 200, body: view(pod) };
      },
    },
    {
      method: 'DELETE',
      path: '/v2/pods/:id',
      operation: 'deletePod',
      run: (call) => {
        pods.act(pods.visible(idOf(call)), 'terminate');
        return { status: 204 };
      },
    },
    {
      method: 'POST',
      path: '/v2/pods/:id/action',
      operation: 'podAction',
      run: (call) => {
        const pod = pods.visible(idOf(call));
        const action = parseAction(call.body);
        pods.act(pod, action);
        return action === 'terminate' ? { status: 204 } : { status: 200, body: view(pod) };
      },
    },
  ];
}

interface Anchor {
  readonly at: number;
  readonly id: string;
}

const cursorOf = (scope: string, anchor: Anchor): string =>
  Buffer.from(JSON.stringify([scope, anchor.at, anchor.id])).toString('base64url');

/** @throws Refusal 422 for garbage, and for a cursor of another operation or of other parameters */
function readCursor(text: string | null, scope: string): Anchor | undefined {
  if (text === null) return undefined;
  try {
    const [of, at, id] = JSON.parse(Buffer.from(text, 'base64url').toString()) as [string, number | null, string];
    if (of === scope && typeof id === 'string') return { at: at ?? Infinity, id };
  } catch {
    // refused below, like every other foreign cursor
  }
  throw invalid([`query parameter 'cursor': malformed or issued for another request`]);
}
