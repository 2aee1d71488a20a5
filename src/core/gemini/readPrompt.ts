import { linkOf, linksOf, textOf } from './readGraph.ts';
import type { GraphNode, WorkflowGraph } from './readGraph.ts';

export type PromptSide = 'positive' | 'negative';

/** Inputs of text encoders; the two for one side only are handled with the side. */
const encoderTexts = [
  'text',
  'text_g',
  'text_l',
  'clip_l',
  'clip_g',
  't5xxl',
  'llama',
  'prompt',
  'user_prompt',
  'string',
];

export interface PromptInput {
  readonly nodeId: string;
  /** Name of the encoder's input: its words stand there, or in what it is linked to. */
  readonly input: string;
}

/** The words that reach a sampler's side, as they stand in the graph. Equal texts (SDXL has two encoders) are given once. */
export function readPromptTexts(graph: WorkflowGraph, samplerId: string, side: PromptSide): readonly string[] {
  const texts = findPromptInputs(graph, samplerId, side).flatMap(
    ({ nodeId, input }) => textOf(graph, graph[nodeId]?.inputs[input])?.trim() ?? [],
  );
  return [...new Set(texts)].filter((text) => text !== '');
}

/** The encoders' inputs whose words reach a sampler's side: through conditioning nodes, guiders and control nodes. */
export function findPromptInputs(graph: WorkflowGraph, samplerId: string, side: PromptSide): readonly PromptInput[] {
  const found: PromptInput[] = [];
  const seen = new Set<string>();

  function follow(value: unknown, want: PromptSide): void {
    const link = linkOf(value);
    const node = link === undefined ? undefined : graph[link.id];
    const mark = `${link?.id} ${want}`;
    if (link === undefined || node === undefined || seen.has(mark)) return;
    seen.add(mark);
    if (/ZeroOut/i.test(node.class_type)) return;
    const own = encoderInputs(node, want).filter((name) => textOf(graph, node.inputs[name]) !== undefined);
    if (own.length > 0) {
      found.push(...own.map((input) => ({ nodeId: link.id, input })));
      return;
    }
    const isGuider = /guider/i.test(node.class_type);
    if ('positive' in node.inputs && 'negative' in node.inputs) {
      // Such a node passes both on, the positive first; a guider joins both into one.
      const next = isGuider ? want : link.slot === 1 ? 'negative' : 'positive';
      follow(node.inputs[next], next);
      return;
    }
    // A guider with one conditioning has the positive side only.
    if (isGuider && want === 'negative') return;
    for (const { input } of linksOf(node)) {
      if (/^(cond|positive|negative|text_embeds)/i.test(input)) follow(node.inputs[input], want);
    }
  }

  const sampler = graph[samplerId];
  if (sampler === undefined) return [];
  follow(sampler.inputs[side], side);
  for (const name of ['guider', 'text_embeds']) follow(sampler.inputs[name], side);
  if (side === 'positive') follow(sampler.inputs.conditioning, side);
  return found;
}

function encoderInputs(node: GraphNode, side: PromptSide): readonly string[] {
  const sided = `${side}_prompt`;
  if (sided in node.inputs) return [sided];
  return encoderTexts.filter((name) => name in node.inputs);
}

export interface CleanPrompt {
  readonly text: string;
  /** Weights or BREAK were taken out. */
  readonly hadWeights: boolean;
  /** Names of `<lora:…>` and `embedding:…`, which Gemini does not have */
  readonly dropped: readonly string[];
}

/** Takes ComfyUI's notation out of a prompt and leaves its words. */
export function cleanPrompt(prompt: string): CleanPrompt {
  const dropped: string[] = [];
  const drop = (name: string): string => {
    dropped.push(name);
    return ' ';
  };
  let text = prompt
    .replace(/<(?:lora|lyco|hypernet):([^:>]+)[^>]*>/gi, (_all, name: string) => drop(`LoRA ${name}`))
    .replace(/\(?\bembedding:([^\s,:()]+)(?::[\d.]+)?\)?/gi, (_all, name: string) => drop(`embedding ${name}`));
  const before = text;
  // Escaped brackets are words, not weights: they are set aside under two characters that no prompt holds.
  text = text.replace(/\\\(/g, '\u0001').replace(/\\\)/g, '\u0002');
  for (let last = ''; last !== text;) {
    last = text;
    text = text.replace(/\(([^()]*?)(?::\s*[\d.]+)?\)/g, '$1');
  }
  text = text.replace(/\bBREAK\b/g, ', ');
  const hadWeights = text.replace(/\u0001/g, '\\(').replace(/\u0002/g, '\\)') !== before;
  text = text
    .replace(/\u0001/g, '(')
    .replace(/\u0002/g, ')')
    .replace(/\s+/g, ' ')
    .replace(/(\s*,)+/g, ',')
    .replace(/^[\s,]+|[\s,]+$/g, '');
  return { text, hadWeights, dropped };
}

/** A negative prompt as single words and phrases, at most 30: past that nobody is helped. */
export function negativeWords(prompt: string): readonly string[] {
  const words = cleanPrompt(prompt)
    .text.split(/[,.;\n]+/)
    .map((word) => word.trim())
    .filter((word) => word !== '');
  return [...new Set(words)].slice(0, 30);
}
