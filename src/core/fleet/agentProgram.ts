import { readFileSync } from 'node:fs';

/**
 * The pod agent's files by their names on the pod. A build puts the texts in the place of these reads
 * (scripts/bundles.ts), so each is written out in full.
 */
export const agentProgram: Readonly<Record<string, string>> = {
  'agent.py': readFileSync(new URL('../../agent/agent.py', import.meta.url), 'utf8'),
  'door.py': readFileSync(new URL('../../agent/door.py', import.meta.url), 'utf8'),
  'messages.py': readFileSync(new URL('../../agent/messages.py', import.meta.url), 'utf8'),
  'watch.py': readFileSync(new URL('../../agent/watch.py', import.meta.url), 'utf8'),
  'site/sitecustomize.py': readFileSync(new URL('../../agent/sitecustomize.py', import.meta.url), 'utf8'),
};
