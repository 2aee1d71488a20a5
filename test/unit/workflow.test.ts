import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { nodeClasses, parseWorkflow } from '../../src/core/comfy/workflow.ts';
import { longestWorkflow, workflowFormat } from '../../src/core/comfy/workflowFormat.ts';
import { Fault } from '../../src/core/kernel/fault.ts';

function rejection(text: string): Fault {
  try {
    parseWorkflow(text);
  } catch (error) {
    assert.ok(error instanceof Fault);
    assert.equal(error.kind, 'rejected');
    assert.ok(error.facts.nextStep, 'every refusal has a next step');
    return error;
  }
  throw new Error('The text was accepted');
}

const save = { class_type: 'SaveImage', inputs: { images: ['1', 0], filename_prefix: 'x' } };
const empty = { class_type: 'EmptyImage', inputs: { width: 8, height: 8, batch_size: 1, color: 0 } };

describe('workflow files', () => {
  it('reads the API format, with or without a byte order mark', () => {
    const text = JSON.stringify({ 1: empty, 2: save });
    assert.deepEqual(nodeClasses(parseWorkflow(text)), ['EmptyImage', 'SaveImage']);
    assert.deepEqual(nodeClasses(parseWorkflow(`\uFEFF${text}`)), ['EmptyImage', 'SaveImage']);
  });

  it('reads the graph out of a full request body', () => {
    const text = JSON.stringify({ prompt: { 1: empty, 2: save }, extra_data: {} });
    assert.deepEqual(Object.keys(parseWorkflow(text)), ['1', '2']);
  });

  it('keeps the digits of seeds that a double cannot hold', () => {
    const seed = '18446744073709551615';
    const text = `{"1":{"class_type":"KSampler","inputs":{"seed":${seed},"cfg":7.5}}}`;
    assert.match(JSON.stringify(parseWorkflow(text)), new RegExp(`"seed":${seed},"cfg":7.5`));
  });

  it('not JSON: refused, saying so', () => {
    assert.match(rejection('{"1": ').message, /not JSON/);
  });

  it('JSON but no workflow: refused, saying so', () => {
    for (const text of ['[]', '"x"', 'null', '{"a":1}', '{"name":"p","version":"1.0.0"}']) {
      assert.match(rejection(text).message, /no ComfyUI workflow/);
    }
  });

  it('UI format: recognised, and said how to export the API format', () => {
    const ui = JSON.stringify({ last_node_id: 2, nodes: [{ id: 1, type: 'EmptyImage' }], links: [], version: 0.4 });
    const fault = rejection(ui);
    assert.match(fault.message, /UI format/);
    assert.match(fault.facts.nextStep ?? '', /Export \(API\)/);
  });

  it('an empty graph: refused', () => {
    assert.match(rejection('{}').message, /empty/);
  });

  it('dangling links: node and input are named', () => {
    const fault = rejection(JSON.stringify({ 2: save }));
    assert.match(fault.message, /Node 2 \(SaveImage\).*'images'.*node 1/);
    assert.deepEqual([fault.facts.nodeId, fault.facts.input], ['2', 'images']);
  });

  it('refuses a node without inputs, which would kill the worker of a real server', () => {
    const fault = rejection(JSON.stringify({ 1: empty, 2: save, 9: { class_type: 'EmptyImage' } }));
    assert.match(fault.message, /Node 9.*no inputs/);
  });

  it('accepts the sample that new users see first', () => {
    const sample = readFileSync(new URL('../../media/samples/text-to-image.json', import.meta.url), 'utf8');
    assert.ok(nodeClasses(parseWorkflow(sample)).includes('KSampler'));
  });
});

describe('what a JSON file is', () => {
  const format = (json: unknown) => workflowFormat(JSON.stringify(json));

  it('is a workflow in API format, bare or as a request body, whatever is wrong with it', () => {
    assert.equal(format({ 1: empty, 2: save }), 'api');
    assert.equal(workflowFormat(`\uFEFF${JSON.stringify({ 1: empty })}`), 'api');
    assert.equal(format({ prompt: { 1: empty }, client_id: 'x' }), 'api');
    assert.equal(format({ 1: empty, 2: { ...save, inputs: { images: ['9', 0] } } }), 'api');
  });

  it("is one in the format of ComfyUI's editor", () => {
    const node = { id: 1, type: 'KSampler', pos: [0, 0], size: [200, 100] };
    assert.equal(format({ last_node_id: 1, nodes: [node], links: [] }), 'editor');
  });

  it('is none: packages, settings, other graphs, records of ours, what is too long', () => {
    const packageJson = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
    assert.equal(workflowFormat(packageJson), 'none');
    assert.equal(format({ nodes: [{ id: 'a', type: 'person' }], links: [{ source: 'a', target: 'a' }] }), 'none');
    assert.equal(format({ version: 1, jobId: 'x', workflow: { 1: empty } }), 'none');
    assert.equal(format({ class_type: 'KSampler' }), 'none');
    assert.equal(format([{ class_type: 'KSampler' }]), 'none');
    assert.equal(workflowFormat('not JSON at all'), 'none');
    assert.equal(workflowFormat(`{"1":${JSON.stringify(empty)}}${' '.repeat(longestWorkflow)}`), 'none');
  });

  it('may be one, once it is JSON', () => {
    assert.equal(workflowFormat(JSON.stringify({ 1: empty }).slice(0, -1)), 'broken');
  });
});
