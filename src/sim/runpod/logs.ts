import type { Phase } from './podMachine.ts';

export interface LogLine {
  /** ms since the epoch, simulated; lines of a boot are planned, so some lie ahead */
  readonly at: number;
  readonly source: 'container' | 'system';
  readonly line: string;
  /** counts the lines of a pod */
  readonly serial: number;
}

type Draft = Omit<LogLine, 'serial'>;

/** What host and container write during a boot: pull progress, container start, ComfyUI's own lines, the ready line. */
export function bootLines(phases: readonly Phase[], image: string, pulled: boolean): Draft[] {
  const lines: Draft[] = [];
  const system = (at: number, line: string): void => void lines.push({ at, source: 'system', line });
  const container = (at: number, line: string): void => void lines.push({ at, source: 'container', line });
  phases.forEach((phase, index) => {
    const end = phases[index + 1]?.from ?? Infinity;
    const stuck = end === Infinity;
    const span = stuck ? 3_600_000 : end - phase.from;
    const at = (share: number): number => phase.from + Math.round(span * share);
    switch (phase.status) {
      case 'STARTING':
        if (index > 2) {
          system(phase.from, 'start container');
          return;
        }
        system(phase.from, `create pod network`);
        if (pulled) system(at(0.1), `Status: Image is up to date for ${image}`);
        else {
          system(at(0.02), `pulling image ${image}`);
          for (let turn = 1; turn <= 8; turn++) system(at(turn / 10), `${image} Pulling layers ${turn * 11}%`);
          if (!stuck) system(at(0.88), `Status: Downloaded newer image for ${image}`);
        }
        if (!stuck) {
          system(at(0.9), `create container ${image}`);
          system(at(0.95), 'start container');
        }
        return;
      case 'RUNNING': {
        const readyAt = phase.readyAt ?? Infinity;
        const boot = Math.min(readyAt === Infinity ? 60_000 : readyAt - phase.from, span);
        const share = (part: number): number => phase.from + Math.round(boot * part);
        container(phase.from, 'Container is running');
        container(share(0.1), 'Installing requirements of custom nodes');
        container(share(0.3), 'Requirement already satisfied: torch in /usr/local/lib/python3.12/dist-packages');
        container(share(0.6), 'Total VRAM and RAM checked, starting server');
        if (readyAt < end) {
          container(readyAt, 'To see the GUI go to: http://0.0.0.0:8188');
          container(readyAt + 1, '[ComfyUI-Manager] All startup tasks have been completed.');
        }
        return;
      }
      case 'ERROR':
        container(phase.from, 'torch.OutOfMemoryError: CUDA out of memory.');
        system(phase.from + 1, 'container exited with code 1');
        return;
      case 'PROVISIONING':
      case 'EXITED':
      case 'TERMINATED':
        return;
    }
  });
  return lines;
}

export function numbered(drafts: readonly Draft[], firstSerial: number): LogLine[] {
  return [...drafts]
    .sort((left, right) => left.at - right.at)
    .map((draft, index) => ({ ...draft, serial: firstSerial + index }));
}
