import assert from 'node:assert/strict';
import fc from 'fast-check';
import { classifyGeminiError } from '../../src/core/gemini/geminiFault.ts';
import { readImageReply } from '../../src/core/gemini/imageReply.ts';
import { geminiLimits, mapWorkflow } from '../../src/core/gemini/mapWorkflow.ts';
import type { WorkflowGraph } from '../../src/core/gemini/readGraph.ts';
import { readVideoState } from '../../src/core/gemini/videoReply.ts';
import { wireImageReply, wireInteraction } from '../../src/core/gemini/wire.ts';
import { Fault } from '../../src/core/kernel/fault.ts';

const words = ['CLIPTextEncode', 'KSampler', 'SaveImage', 'SaveVideo', 'LoadImage', 'VAEEncode', 'CFGGuider', 'Odd'];
const names = ['positive', 'negative', 'latent_image', 'images', 'samples', 'text', 'image', 'width', 'height', 'seed'];
const ids = ['1', '2', '3', '4', '5', '6'];
const inputValue = fc.oneof(
  fc.tuple(fc.constantFrom(...ids, '99'), fc.nat(2)),
  fc.constantFrom('a fox', '((a:1.2) BREAK', '<lora:x:1>', ''),
  fc.double(),
  fc.jsonValue(),
);
const graphs = fc.dictionary(
  fc.constantFrom(...ids),
  fc.record({ class_type: fc.constantFrom(...words), inputs: fc.dictionary(fc.constantFrom(...names), inputValue) }),
);

/** JSON that looks like a reply here and there. */
const replies = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 5 },
    fc.constantFrom(
      'completed',
      'failed',
      'video',
      'model_output',
      'SAFETY',
      'STOP',
      'AAAA',
      '',
      null,
      true,
      0,
      -1,
      429,
    ),
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(
      fc.constantFrom(
        ...['candidates', 'content', 'parts', 'inlineData', 'mimeType', 'data', 'finishReason', 'promptFeedback'],
        ...['blockReason', 'usageMetadata', 'id', 'status', 'steps', 'type', 'uri', 'usage', 'errors', 'error'],
        ...['code', 'message', 'details', 'retryDelay', 'violations'],
      ),
      tie('value'),
      { maxKeys: 5 },
    ),
  ),
})).value;

describe('Gemini under arbitrary input', () => {
  it('maps any graph to a request or to reasons, never both, and never throws', () => {
    fc.assert(
      fc.property(graphs, (graph) => {
        const { request, report } = mapWorkflow(graph, geminiLimits);
        assert.equal(request === undefined, report.refused.length > 0);
        if (request?.kind === 'video') assert.ok(request.seconds >= 3 && request.seconds <= 10);
        if (request !== undefined) assert.ok(request.count >= 1 && request.prompt !== '');
      }),
      { numRuns: 2_000 },
    );
  });

  it('reads any parsed reply to a result or a Fault', () => {
    fc.assert(
      fc.property(replies, fc.constantFrom(200, 400, 403, 404, 429, 500), (json, status) => {
        const image = wireImageReply.safeParse(json);
        if (image.success) {
          try {
            readImageReply(image.data);
          } catch (error) {
            assert.ok(error instanceof Fault, String(error));
          }
        }
        const video = wireInteraction.safeParse(json);
        if (video.success) assert.ok(['running', 'done', 'failed'].includes(readVideoState(video.data).is));
        const error = { status, headers: {}, text: JSON.stringify(json) ?? '', json, repeatable: true };
        const fault = classifyGeminiError(error, 'pollVideo', 0);
        assert.ok(fault === undefined || fault instanceof Fault);
      }),
      { numRuns: 5_000 },
    );
  });

  it('is not drowned by texts that join themselves', () => {
    const graph: Record<string, WorkflowGraph[string]> = {
      s: { class_type: 'KSampler', inputs: { positive: ['e', 0], latent_image: ['l', 0] } },
      e: { class_type: 'CLIPTextEncode', inputs: { text: ['0', 0] } },
      l: { class_type: 'EmptyLatentImage', inputs: { width: 64, height: 64, batch_size: 1 } },
      o: { class_type: 'SaveImage', inputs: { images: ['s', 0] } },
    };
    for (let i = 0; i < 60; i++) {
      const next = [String(i + 1), 0];
      graph[String(i)] = { class_type: 'StringConcatenate', inputs: { string_a: next, string_b: next, text: next } };
    }
    const startedAt = performance.now();
    assert.equal(mapWorkflow(graph, geminiLimits).request, undefined);
    assert.ok(performance.now() - startedAt < 1_000);
  });
});
