import { ANIMATION_NODES } from './animationNodes.ts';
import { IMAGE_NODES } from './imageNodes.ts';
import { LOAD_NODES } from './loadNodes.ts';
import { MODEL_NODES } from './modelNodes.ts';
import { REHEARSAL_NODES } from './rehearsalNodes.ts';
import { SAMPLER_NODES } from './samplerNodes.ts';
import { SAVE_NODES } from './saveNodes.ts';
import type { NodeType } from './nodeType.ts';
import type { NodePack } from './packs.ts';
import type { ProfileTraits } from '../profile.ts';

/** The classes that a server has: the core ones of its version, and those of its packs. */
export function nodeTypes(_traits: ProfileTraits, packs: readonly NodePack[]): ReadonlyMap<string, NodeType> {
  const all = [...IMAGE_NODES, ...LOAD_NODES, ...SAVE_NODES, ...ANIMATION_NODES, ...MODEL_NODES, ...SAMPLER_NODES];
  if (packs.includes('simtest')) all.push(...REHEARSAL_NODES);
  return new Map(all.map((type) => [type.name, type]));
}
