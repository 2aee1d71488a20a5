import assert from 'node:assert/strict';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import type { Answer } from './simRunpodHarness.ts';

/** RunPod's OpenAPI document, where the reference texts are; a stranger may not have it. */
export const documentUrl = new URL('../../../shared/contracts/runpod-openapi-v2.json', import.meta.url);

interface Operation {
  readonly operationId: string;
  readonly responses: Record<string, { $ref?: string; content?: Record<string, { schema: object }>; headers?: object }>;
}

/** Checks replies against RunPod's OpenAPI document. Extra properties are allowed, missing required ones are not. */
export class Contract {
  readonly #document: { paths: Record<string, Record<string, Operation>>; components: { responses: object } };
  readonly #ajv = new Ajv2020({ strict: false, allErrors: true, validateFormats: true });
  readonly #compiled = new Map<string, ValidateFunction>();
  readonly covered = new Set<string>();

  constructor(text: string) {
    this.#document = JSON.parse(text);
    addFormats.default(this.#ajv);
    // The document's own addresses have '{job_id}' in them, which the format's rule refuses.
    this.#ajv.addFormat('uri', (text) => URL.canParse(text));
    this.#ajv.addSchema({ ...JSON.parse(text), $id: 'doc' });
  }

  validator(pointer: string): ValidateFunction {
    const known = this.#compiled.get(pointer) ?? this.#ajv.compile({ $ref: `doc#${pointer}` });
    this.#compiled.set(pointer, known);
    return known;
  }

  /** Asserts that `answer` is one that the document allows for the operation, and returns it. */
  check(method: string, path: string, answer: Answer): Answer {
    const operation = this.#document.paths[path]?.[method.toLowerCase()];
    assert.ok(operation, `${method} ${path} is in the document`);
    const token = path.replaceAll('~', '~0').replaceAll('/', '~1').replaceAll('{', '%7B').replaceAll('}', '%7D');
    const named = operation.responses[String(answer.status)] ? String(answer.status) : 'default';
    const response = operation.responses[named];
    assert.ok(response, `${method} ${path} may answer ${answer.status}`);
    const base = response.$ref?.replace('#', '') ?? `/paths/${token}/${method.toLowerCase()}/responses/${named}`;
    const content = response.$ref
      ? (this.#document.components.responses as Record<string, typeof response>)[response.$ref.split('/').at(-1)!]
          ?.content
      : response.content;
    assert.match(String(answer.headers['x-request-id']), /./);
    this.covered.add(`${operation.operationId} ${answer.status}`);
    if (!content) {
      assert.equal(answer.text, '', `${method} ${path} ${answer.status} has no body`);
      assert.equal(answer.headers['content-type'], undefined);
      return answer;
    }
    const type = String(answer.headers['content-type']).split(';')[0]!;
    assert.ok(content[type], `${method} ${path} ${answer.status} sends ${type}, not ${Object.keys(content).join()}`);
    const validate = this.validator(`${base}/content/${type.replaceAll('/', '~1')}/schema`);
    assert.ok(validate(answer.json), `${method} ${path} ${answer.status}: ${JSON.stringify(validate.errors)}`);
    return answer;
  }
}
