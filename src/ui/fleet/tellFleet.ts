import type { Fleet } from '../../core/fleet/fleet.ts';
import type { PodService } from '../../core/fleet/podService.ts';
import type { Event } from '../../core/kernel/event.ts';
import { late } from '../../core/kernel/late.ts';
import type { Lifetime } from '../../core/kernel/lifetime.ts';
import type { Log } from '../../core/kernel/ports.ts';
import type { Settings } from '../../core/settings.ts';
import type { IdleDiskServices } from './idleDiskOffer.ts';

export interface TellFleetServices extends IdleDiskServices {
  readonly fleet: Fleet;
  readonly pods: PodService;
  readonly settings: () => Settings;
  /** Settings, keys or addresses changed. */
  readonly onDidChangeSetup: Event<unknown>;
  readonly log: Log;
}

const { tellFirstPod } = late(() => import('./fleetNews.ts'));
const { offerIdleDisks } = late(() => import('./idleDiskOffer.ts'));

/** One message when the first pod of a session comes by itself, one a day of what stopped ones cost; new settings are followed at once. */
export function tellFleet(services: TellFleetServices, life: Lifetime): void {
  const { fleet, log } = services;
  let isTold = false;
  life.own(
    fleet.onDidDecide((decision) => {
      if (decision.what === 'stop' && decision.failure === undefined) {
        offerIdleDisks(services, life.signal).catch((error: unknown) => {
          log.debug(`Disks of stopped pods could not be looked at: ${String(error)}`);
        });
      }
      if (isTold || decision.what === 'stop' || decision.failure !== undefined) return;
      isTold = true;
      tellFirstPod(services, decision, life.signal).catch((error: unknown) => {
        log.warn(`The first pod could not be told of: ${String(error)}`);
      });
    }),
  );
  life.own(services.onDidChangeSetup(() => fleet.reconsider()));
}
