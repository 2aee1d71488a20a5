import { IMAGE_NODES } from './imageNodes.ts';
import { MODEL_NODES } from './modelNodes.ts';
import { SAMPLER_NODES } from './samplerNodes.ts';
import { SAVE_NODES } from './saveNodes.ts';
import type { NodeType } from './nodeType.ts';
import type { NodePack } from './packs.ts';
import type { ProfileTraits } from '../profile.ts';

/** The classes that a server has: the core ones of its version, and those of its packs. */
export function nodeTypes(_traits: ProfileTraits, _packs: readonly NodePack[]): ReadonlyMap<string, NodeType> {
  const all = [...IMAGE_NODES, ...SAVE_NODES, ...MODEL_NODES, ...SAMPLER_NODES];
  return new Map(all.map((type) => [type.name, type]));
}
