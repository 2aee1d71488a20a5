import type { Clock } from '../kernel/ports.ts';
import type { PodRecords as StoredRecords } from '../store/podRecords.ts';
import type { PodRecords } from './deployPod.ts';

/** The fleet's view of the stored pod records. */
export function storedPodRecords(stored: StoredRecords, clock: Clock): PodRecords {
  return {
    intend: ({ name, requestedAtMs }) =>
      stored.intend({ name, gpu: '', quoteUsdPerHourMicros: undefined, requestedAt: requestedAtMs }),
    renew: (name) => stored.renew(name, clock.now()),
    own: (name, podId, quote) => stored.confirm(name, podId, clock.now(), quote),
    async forget(name) {
      await stored.giveUp(name, 'RunPod has no such pod', clock.now());
      const owned = (await stored.owned()).find((record) => record.name === name);
      if (owned?.podId !== undefined) await stored.markGone(owned.podId, clock.now());
    },
    noteStart: (start) => stored.noteStart(start),
    forgetStart: (podId) => stored.forgetStart(podId),
    starts: () => stored.starts(),
    open: async () =>
      (await stored.unconfirmed()).map(({ name, requestedAt }) => ({ name, requestedAtMs: requestedAt })),
  };
}
