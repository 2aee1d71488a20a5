import type { Workflow } from '../comfy/workflow.ts';

const seedInputs = new Set(['seed', 'noise_seed']);

/**
 * The same graph with another seed wherever one stands as a number: unchanged, a server answers from its cache and makes
 * nothing. Equal seeds stay equal to each other; linked seeds stay linked.
 */
export function withFreshSeeds(workflow: Workflow, newSeed: () => number): Workflow {
  const fresh = new Map<string, number>();
  const replaced = (name: string, value: unknown): unknown => {
    if (!seedInputs.has(name) || Array.isArray(value) || !isNumber(value)) return value;
    const key = JSON.stringify(value);
    if (!fresh.has(key)) fresh.set(key, newSeed());
    return fresh.get(key);
  };
  return Object.fromEntries(
    Object.entries(workflow).map(([id, node]) => [
      id,
      {
        ...node,
        inputs: Object.fromEntries(Object.entries(node.inputs).map(([name, value]) => [name, replaced(name, value)])),
      },
    ]),
  );
}

/** Seeds beyond 2^53 are kept as raw JSON numbers when a file is read. */
function isNumber(value: unknown): boolean {
  return (
    typeof value === 'number' || (typeof value === 'object' && value !== null && /^\d+$/.test(JSON.stringify(value)))
  );
}
