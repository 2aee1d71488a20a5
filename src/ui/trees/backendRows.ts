import { viewItem } from '../../contract.ts';
import type { Backend, Health, Inventory, Tier } from '../../core/backends/backend.ts';
import type { BackendStatus } from '../../core/backends/backendManager.ts';
import { isNamed } from '../../core/routing/route.ts';
import { dotted, plainMarkdown } from './row.ts';
import type { Row, RowIcon } from './row.ts';

export interface BackendScene {
  /** In order of priority. */
  readonly statuses: readonly BackendStatus[];
  /** A tier, or one backend. */
  readonly forced: string | undefined;
  readonly preferred: string | undefined;
  /** The backend that gets the next job. */
  readonly selected: string | undefined;
  /** Tiers whose setting says off. */
  readonly switchedOff: ReadonlySet<Tier>;
  /** False while nothing was set up by the person: no key, no address of their own. */
  readonly setUp: boolean;
  /** What a ComfyUI has; undefined = nobody has looked. */
  readonly inventory: (backendId: string) => Inventory | undefined;
  readonly nowMs: number;
}

export type BackendState = Health['state'] | 'unknown' | 'checking' | 'resting';

const icons: Readonly<Record<BackendState, RowIcon>> = {
  healthy: { id: 'pass-filled', color: 'testing.iconPassed' },
  degraded: { id: 'warning', color: 'list.warningForeground' },
  starting: { id: 'loading~spin', color: 'charts.blue' },
  stopped: { id: 'debug-pause', color: 'charts.blue' },
  unhealthy: { id: 'error', color: 'list.errorForeground' },
  resting: { id: 'watch', color: 'list.errorForeground' },
  off: { id: 'circle-slash', color: 'disabledForeground' },
  checking: { id: 'loading~spin' },
  unknown: { id: 'question', color: 'descriptionForeground' },
};

/** 'notSetUp' leaves the tree empty, so that its welcome text shows the ways in. */
export function backendsState(scene: Pick<BackendScene, 'statuses' | 'setUp'>): 'listed' | 'notSetUp' {
  const hope = scene.statuses.some(({ ready, health, checking }) => {
    if (!ready.ok) return false;
    return checking || !health.known || health.value.state !== 'unhealthy';
  });
  return scene.setUp || hope ? 'listed' : 'notSetUp';
}

/** The chain in order of priority. A tier of several backends is a group. */
export function backendRows(scene: BackendScene): readonly Row[] {
  if (backendsState(scene) === 'notSetUp') return [];
  const tierRows = Map.groupBy(scene.statuses, ({ backend }) => backend.tier);
  return [...tierRows].map(([tier, all]) => {
    const members = withoutUnset(all);
    const [first] = members;
    return members.length === 1 && first !== undefined ? backendRow(first, scene) : groupRow(tier, members, scene);
  });
}

/** 'No pod is configured' is no news where another pod runs. */
function withoutUnset(members: readonly BackendStatus[]): readonly BackendStatus[] {
  const others = members.filter(({ backend, ready }) => backend.id !== backend.tier || ready.ok);
  return others.length === 0 ? members : others;
}

const groupNames: Readonly<Record<Tier, string>> = { local: 'Local', cloud: 'RunPod', gemini: 'Google Gemini' };

function groupRow(tier: Tier, members: readonly BackendStatus[], scene: BackendScene): Row {
  const { forced, preferred, selected, switchedOff } = scene;
  const label = groupNames[tier];
  const works = members.filter((status) => stateOf(status) === 'healthy').length;
  const isNext = members.some(({ backend }) => backend.id === selected);
  const isUsed = forced === undefined || members.some(({ backend }) => isNamed(named(backend), forced));
  const role = !isUsed ? 'not used' : forced === tier ? 'only this' : isNext ? 'next job' : undefined;
  const description = dotted(
    role ?? (preferred === tier && 'preferred'),
    `${members.length} backends`,
    works < members.length && `${works} healthy`,
  );
  return {
    id: `tier:${tier}`,
    label,
    description,
    context: viewItem(
      'backend',
      switchedOff.has(tier) ? 'switchedOff' : 'on',
      forced === tier && 'only',
      preferred === tier && 'preferred',
    ),
    spoken: `${label}, ${description}`,
    open: true,
    children: members.map((status) => backendRow(status, scene, true)),
  };
}

function named({ id, tier, alias }: Backend): Parameters<typeof isNamed>[0] {
  return { id, tier, alias: alias?.() };
}

/** 'RunPod pod' of 'RunPod pod podrelay-x': the only one of a tier needs no name in a narrow row. */
function kindOf({ label, name }: Backend): string {
  return name !== undefined && label.endsWith(` ${name}`) ? label.slice(0, -name.length - 1) : label;
}

/** What a person's choice of this backend is called, and not of its tier. */
export function ownName(backend: Backend, isMember: boolean): string {
  return isMember ? (backend.alias?.() ?? backend.id) : backend.id;
}

export function stateOf({ ready, health, breaker, checking }: BackendStatus): BackendState {
  if (!ready.ok) return 'off';
  if (!health.known) return checking ? 'checking' : 'unknown';
  if (breaker.is === 'open' && health.value.state === 'unhealthy') return 'resting';
  return health.value.state;
}

export function backendIcon(state: BackendState): RowIcon {
  return icons[state];
}

function backendRow(status: BackendStatus, scene: BackendScene, isMember = false): Row {
  const { backend } = status;
  const state = stateOf(status);
  const own = ownName(backend, isMember);
  const description = dotted(roleOf(backend, own, scene), summary(status, state));
  return {
    id: `backend:${backend.id}`,
    label: isMember ? (backend.name ?? backend.label) : kindOf(backend),
    description,
    icon: icons[state],
    tooltip: tooltip(status, state, scene),
    context: viewItem(
      'backend',
      isMember ? 'member' : scene.switchedOff.has(backend.tier) ? 'switchedOff' : 'on',
      scene.forced === own && 'only',
      scene.preferred === own && 'preferred',
      status.ready.ok && backend.id === 'local' && 'browsable',
    ),
    spoken: `${backend.label}, ${stateName(state)}, ${description}`,
    children: detailRows(status, state, scene),
  };
}

function roleOf(backend: Backend, own: string, { forced, preferred, selected }: BackendScene): string | undefined {
  if (forced === own) return 'only this';
  if (forced !== undefined && !isNamed(named(backend), forced)) return 'not used';
  if (selected === backend.id) return 'next job';
  return preferred === own ? 'preferred' : undefined;
}

function summary({ ready, health }: BackendStatus, state: BackendState): string {
  if (!ready.ok) return ready.why;
  if (!health.known) return state === 'checking' ? 'checking…' : 'not checked yet';
  const { latencyMs, gpu, why } = health.value;
  if (health.value.state !== 'healthy') return why;
  return dotted(latencyMs !== undefined && `${Math.round(latencyMs)} ms`, gpu) || why;
}

export function stateName(state: BackendState): string {
  switch (state) {
    case 'healthy':
      return 'Healthy';
    case 'degraded':
      return 'Works, with a limit';
    case 'starting':
      return 'Starting';
    case 'stopped':
      return 'Stopped; starts when a job needs it';
    case 'unhealthy':
      return 'Does not work now';
    case 'resting':
      return 'Does not work now; left alone for a while';
    case 'off':
      return 'Not in use';
    case 'checking':
      return 'Being checked';
    case 'unknown':
      return 'Not checked yet';
  }
}

function detailRows(status: BackendStatus, state: BackendState, scene: BackendScene): readonly Row[] {
  const { backend, ready, health, breaker } = status;
  const row = (name: string, label: string, description: string | undefined, icon: string): Row | undefined =>
    description === undefined
      ? undefined
      : { id: `backend:${backend.id}:${name}`, label, description, icon: { id: icon } };
  const seen = health.known && ready.ok ? health.value : undefined;
  const has = seen?.state === 'healthy' ? scene.inventory(backend.id) : undefined;
  const rows = [
    row('name', 'Name', backend.name, 'tag'),
    row('state', 'State', stateName(state), 'pulse'),
    row('why', 'Why', ready.ok ? seen?.why : ready.why, 'info'),
    row(
      'latency',
      'Answers in',
      seen?.latencyMs === undefined ? undefined : `${Math.round(seen.latencyMs)} ms`,
      'dashboard',
    ),
    row('version', 'Version', seen?.version, 'versions'),
    row('gpu', 'GPU', seen?.gpu, 'circuit-board'),
    row('vram', 'Free GPU memory', vram(seen), 'layers'),
    row('models', 'Models', has && modelsText(has), 'package'),
    row('nodes', 'Nodes', has && nodesText(has), 'extensions'),
    row('queue', 'Jobs there', seen?.queueLength?.toString(), 'list-ordered'),
    row('breaker', 'Tried again', breakerText(breaker, scene.nowMs), 'watch'),
    row('seen', 'Checked', health.known && ready.ok ? `${ago(scene.nowMs - health.at)} ago` : undefined, 'history'),
  ];
  return rows.filter((one) => one !== undefined);
}

function vram(health: Health | undefined): string | undefined {
  if (health?.vramTotalBytes === undefined) return undefined;
  const free = health.vramFreeBytes === undefined ? '–' : gib(health.vramFreeBytes);
  return `${free} of ${gib(health.vramTotalBytes)} GB`;
}

function gib(bytes: number): string {
  return (bytes / 2 ** 30).toFixed(1);
}

function breakerText(breaker: BackendStatus['breaker'], nowMs: number): string | undefined {
  if (breaker.is === 'closed') return undefined;
  if (breaker.is === 'halfOpen' || breaker.retryAtMs <= nowMs) return 'with the next job';
  if (!Number.isFinite(breaker.retryAtMs)) return 'when the key, the credit or the settings change';
  return `in ${ago(breaker.retryAtMs - nowMs)}`;
}

/** '8 s', '3 min', '2 h' */
export function ago(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 90) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 90 ? `${minutes} min` : `${Math.round(minutes / 60)} h`;
}

function tooltip(status: BackendStatus, state: BackendState, scene: BackendScene): string {
  const lines = detailRows(status, state, scene).map(
    ({ label, description }) => `| ${label} | ${plainMarkdown(description ?? '')} |`,
  );
  return [`**${plainMarkdown(status.backend.label)}**`, '', '| | |', '|:--|:--|', ...lines].join('\n');
}

function modelsText({ checkpoints, loras }: Inventory): string {
  return dotted(counted(checkpoints, 'checkpoint'), counted(loras, 'LoRA'));
}

function nodesText({ nodePacks, nodeTypes }: Inventory): string {
  return dotted(counted(nodePacks, 'pack'), counted(nodeTypes, 'node type'));
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}
