import type { Settings } from '../settings.ts';
import type { DeployRequest } from './deployPod.ts';
import type { GpuCandidate } from './rankGpus.ts';
import { defaultWatchdog } from './watchdog.ts';

/** What RunPod is asked for, by the settings. */
export function deployRequest(candidates: readonly GpuCandidate[], settings: Settings): DeployRequest {
  const bootSeconds = Math.max(defaultWatchdog.bootSeconds, settings['cloud.readyTimeoutMinutes'] * 60);
  return {
    candidates,
    image: settings['cloud.image'],
    containerDiskGb: settings['cloud.diskGb'],
    storage: { kind: 'volume', sizeGb: settings['cloud.volumeGb'], path: '/workspace' },
    watchdog: { ...defaultWatchdog, idleSeconds: settings['cloud.idleMinutes'] * 60, bootSeconds },
  };
}
