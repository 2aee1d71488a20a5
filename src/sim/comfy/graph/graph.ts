import { isObject, type Json, type JsonObject } from '../pyJson.ts';

/** A node of an API-format graph as it was sent; `inputs` may be missing, which is what kills a worker (8.3 F1). */
export interface GraphNode extends JsonObject {
  class_type: string;
  inputs?: JsonObject;
}

/** A graph that passed the class check: every value has a known `class_type`. */
export type Graph = Record<string, GraphNode>;

/** `["<source id>", slot]` */
export type Link = [string, number];

/** A link is a two-element list of a string and a number; anything else that is a list is not one. */
export function isLink(value: Json | undefined): value is Link {
  return Array.isArray(value) && value.length === 2 && typeof value[0] === 'string' && typeof value[1] === 'number';
}

/** The ids that this node takes inputs from, in the order of its inputs. */
export function sourcesOf(node: GraphNode): string[] {
  if (!isObject(node.inputs)) return [];
  return Object.values(node.inputs)
    .filter(isLink)
    .map((link) => link[0]);
}
