import { outOfMemory } from '../run/nodeFailure.ts';
import { hashText } from '../media/noise.ts';
import { newFrame } from '../media/frame.ts';
import { images } from './imageNodes.ts';
import { NodeError } from './nodeInputs.ts';
import type { NodeType } from './nodeType.ts';

const CATEGORY = 'simtest';
const MODULE = 'custom_nodes.simtest';

/** Takes its time, with a report per step: `delay` in seconds. */
const simSleep: NodeType = {
  name: 'SimSleep',
  facts: () => ({
    display: null,
    category: CATEGORY,
    module: MODULE,
    required: {
      image: ['IMAGE'],
      steps: ['INT', { default: 5, min: 1, max: 10_000 }],
      delay: ['FLOAT', { default: 0.1, min: 0, max: 3_600 }],
      preview: ['BOOLEAN', { default: false }],
      seed: ['INT', { default: 0, min: 0, max: 0xffffffff }],
    },
    outputs: [['IMAGE', 'IMAGE']],
  }),
  async run(inputs, context) {
    const steps = inputs.number('steps');
    for (let step = 1; step <= steps; step++) {
      await context.sleep(inputs.number('delay') * 1_000);
      const preview = () => newFrame(64, 64, hashText(`${step}`, inputs.number('seed')) & 0xffffff);
      context.progress(step, steps, inputs.flag('preview') ? preview : undefined);
    }
    return images(inputs.frames('image'));
  },
};

const simFail: NodeType = {
  name: 'SimFail',
  facts: () => ({
    display: null,
    category: CATEGORY,
    module: MODULE,
    required: { image: ['IMAGE'], message: ['STRING', { default: 'boom' }] },
    outputs: [['IMAGE', 'IMAGE']],
  }),
  run: (inputs) => {
    throw new NodeError('ValueError', inputs.text('message'));
  },
};

const simOom: NodeType = {
  name: 'SimOom',
  facts: () => ({
    display: null,
    category: CATEGORY,
    module: MODULE,
    required: { image: ['IMAGE'] },
    outputs: [['IMAGE', 'IMAGE']],
  }),
  run: () => {
    throw outOfMemory();
  },
};

/** Becomes two other nodes while the prompt runs. */
const simExpand: NodeType = {
  name: 'SimExpand',
  facts: () => ({
    display: null,
    category: CATEGORY,
    module: MODULE,
    required: { image: ['IMAGE', { rawLink: true }] },
    outputs: [['IMAGE', 'IMAGE']],
  }),
  run: (_inputs, { nodeId, prompt }) => {
    const first = `${nodeId}.0.0.1`;
    const second = `${nodeId}.0.0.2`;
    const source = prompt[nodeId]?.inputs;
    const image = typeof source === 'object' && source !== null && 'image' in source ? source['image'] : null;
    return {
      outputs: [[second, 0]],
      expand: {
        [first]: { class_type: 'ImageInvert', inputs: { image: image ?? null } },
        [second]: { class_type: 'ImageInvert', inputs: { image: [first, 0] } },
      },
    };
  },
};

const simText: NodeType = {
  name: 'SimText',
  facts: () => ({
    display: null,
    category: CATEGORY,
    module: MODULE,
    required: { text: ['STRING', { default: '' }] },
    outputs: [],
    outputNode: true,
  }),
  run: (inputs, context) => {
    context.text(inputs.text('text'));
    return { outputs: [], ui: { text: [inputs.text('text')] } };
  },
};

/** Nodes that provoke what a real graph meets rarely: long work, failures, growth at run time, text frames. */
export const REHEARSAL_NODES: readonly NodeType[] = [simSleep, simFail, simOom, simExpand, simText];
