import * as vscode from 'vscode';
import { Fault } from '../../core/kernel/fault.ts';
import type { KeyRing } from '../../core/keyRing.ts';
import type { EndpointService, EndpointStatus } from '../../core/serverless/endpointService.ts';
import { endpointIcon, workerPriceText, workersText } from '../trees/endpointText.ts';
import { dotted } from '../trees/row.ts';
import { requireRunpodKey } from './podChoice.ts';

export interface EndpointChoiceServices {
  readonly endpoints: EndpointService;
  readonly keys: KeyRing;
  /** Those that get jobs. */
  readonly endpointIds: () => readonly string[];
}

export interface EndpointQuestion {
  readonly title: string;
  readonly fits: (status: EndpointStatus) => boolean;
  /** Said when none fits: 'No endpoint gets jobs'. */
  readonly none?: string;
}

/** The endpoint of a row, or of an id, as last seen; else the one that is picked from those that fit. A Fault when there is none. */
export async function chooseEndpoint(
  services: EndpointChoiceServices,
  arg: unknown,
  question: EndpointQuestion,
  signal: AbortSignal,
): Promise<EndpointStatus> {
  await requireRunpodKey(services.keys);
  const id = endpointIdOf(arg);
  return id === undefined ? pickEndpoint(services, question, signal) : findEndpoint(services.endpoints, id, signal);
}

/** Of a row of the Pods view, of one below it, or the id itself. */
export function endpointIdOf(arg: unknown): string | undefined {
  const id = typeof arg === 'object' && arg !== null && 'id' in arg ? arg.id : arg;
  return typeof id === 'string' && id !== 'endpoints'
    ? /^(?:endpoint:)?([A-Za-z0-9_-]+)(?=:|$)/.exec(id)?.[1]
    : undefined;
}

async function findEndpoint(endpoints: EndpointService, id: string, signal: AbortSignal): Promise<EndpointStatus> {
  const isIt = ({ endpoint }: EndpointStatus): boolean => endpoint.id === id;
  const found = endpoints.lastSeen?.endpoints.find(isIt) ?? (await endpoints.refresh(signal)).find(isIt);
  if (found !== undefined) return found;
  throw new Fault('mismatch', `There is no endpoint '${id}' in this account`, {
    nextStep: vscode.l10n.t('Refresh the pods.'),
  });
}

async function pickEndpoint(
  { endpoints, endpointIds }: EndpointChoiceServices,
  question: EndpointQuestion,
  signal: AbortSignal,
): Promise<EndpointStatus> {
  // A list that is being asked for must not keep the box from opening.
  const items = endpoints.refresh(signal).then((seen) => {
    const fitting = seen.filter(question.fits);
    if (fitting.length > 0) return fitting.map((status) => endpointItem(status, endpoints, endpointIds()));
    throw new Fault('rejected', question.none ?? 'There is no serverless endpoint in this account', {
      nextStep:
        seen.length === 0 ? vscode.l10n.t('Create an endpoint first.') : vscode.l10n.t('The Pods view shows them.'),
    });
  });
  const placeHolder = vscode.l10n.t('Choose an endpoint');
  const hide = new vscode.CancellationTokenSource();
  const failed = items.catch((error: unknown) => {
    hide.cancel();
    throw error;
  });
  try {
    const options = { title: question.title, placeHolder, matchOnDescription: true };
    const [chosen] = await Promise.all([vscode.window.showQuickPick(items, options, hide.token), failed]);
    if (chosen === undefined) throw new Fault('cancelled', 'No endpoint was chosen');
    return chosen.status;
  } finally {
    hide.dispose();
  }
}

function endpointItem(
  status: EndpointStatus,
  { prices }: EndpointService,
  used: readonly string[],
): vscode.QuickPickItem & { readonly status: EndpointStatus } {
  const { endpoint } = status;
  return {
    label: `$(${endpointIcon(status).id}) ${endpoint.name}`,
    description: dotted(
      endpoint.maxWorkers === 0 ? vscode.l10n.t('stopped') : workersText(status),
      workerPriceText(endpoint, prices.known ? prices.value : undefined),
      used.includes(endpoint.id) && vscode.l10n.t('for jobs'),
    ),
    status,
  };
}
