import type { FileStore } from '../files/fileStore.ts';
import type { ProfileTraits } from '../profile.ts';
import type { InputSpec, Lists, NodeFacts, NodeType } from '../nodes/nodeType.ts';
import { isObject, pyRepr, pyStr, type Json, type JsonObject } from '../pyJson.ts';
import { coerce, ConversionError, pyType } from './coerce.ts';
import { isLink, type Graph } from './graph.ts';
import { promptError, ValidationCrash, type PromptError } from './promptError.ts';
import { fits, typeText } from './typeMatch.ts';

/** Longer option lists are not sent back (comfyui.md 1.3). */
const SHOWN_OPTIONS = 20;

export interface Verdict {
  valid: boolean;
  errors: PromptError[];
}

/** Validates nodes from an output upwards, once each; rewrites literals in the graph to their declared types. */
export class InputValidator {
  readonly verdicts = new Map<string, Verdict>();
  readonly #graph: Graph;
  readonly #types: ReadonlyMap<string, NodeType>;
  readonly #lists: Lists;
  readonly #files: FileStore;

  constructor(graph: Graph, types: ReadonlyMap<string, NodeType>, lists: Lists, files: FileStore) {
    this.#graph = graph;
    this.#types = types;
    this.#lists = lists;
    this.#files = files;
  }

  /** Throws ValidationCrash where Python's own code would raise. */
  validate(id: string, visiting: readonly string[] = []): Verdict {
    const known = this.verdicts.get(id);
    if (known) return known;
    if (visiting.includes(id)) return this.#cycle([...visiting.slice(visiting.indexOf(id)), id]);
    const node = this.#graph[id];
    if (node === undefined) throw new ValidationCrash('KeyError', pyRepr(id));
    const inputs = node.inputs;
    if (!isObject(inputs)) throw new ValidationCrash('KeyError', "'inputs'");
    const type = this.#typeOf(id);
    const facts = type.facts(this.#lists);
    const errors: PromptError[] = [];
    let valid = true;
    for (const [name, spec, required] of declaredInputs(facts)) {
      const value = inputs[name];
      if (value === undefined) {
        if (required)
          errors.push(promptError('required_input_missing', 'Required input is missing', name, { input_name: name }));
      } else if (Array.isArray(value)) {
        const verdict = this.#link(name, spec, value, [...visiting, id]);
        if (verdict === false) valid = false;
        else if (verdict !== true) errors.push(verdict);
      } else {
        const error = this.#literal(inputs, name, spec, value, type);
        if (error) errors.push(error);
      }
    }
    errors.push(...this.#ownCheck(type, inputs));
    // A cycle through this node may have been told already.
    const told = this.verdicts.get(id)?.errors ?? [];
    const verdict = { valid: valid && errors.length + told.length === 0, errors: [...told, ...errors] };
    this.verdicts.set(id, verdict);
    return verdict;
  }

  /** true: fine; false: something upstream is not, and says so itself; else this input's error. */
  #link(name: string, spec: InputSpec, value: Json[], visiting: readonly string[]): boolean | PromptError {
    if (value.length !== 2) {
      return promptError(
        'bad_linked_input',
        'Bad linked input, must be a length-2 list of [node_id, slot_index]',
        name,
        { input_name: name, input_config: configOf(spec), received_value: value },
      );
    }
    const [source, slot] = value as [Json, Json];
    const sourceNode = typeof source === 'string' ? this.#graph[source] : undefined;
    if (typeof source !== 'string' || sourceNode === undefined) throw new ValidationCrash('KeyError', pyRepr(source));
    const outputs = this.#typeOf(source).facts(this.#lists).outputs;
    if (typeof slot !== 'number') {
      throw new ValidationCrash('TypeError', 'tuple indices must be integers or slices, not str');
    }
    const received = outputs[slot]?.[0];
    if (received === undefined) throw new ValidationCrash('IndexError', 'tuple index out of range');
    if (!fits(received, spec)) {
      return promptError(
        'return_type_mismatch',
        'Return type mismatch between linked nodes',
        `${name}, received_type(${received}) mismatch input_type(${typeText(spec)})`,
        { input_name: name, input_config: configOf(spec), received_type: received, linked_node: value },
      );
    }
    try {
      return this.validate(source, visiting).valid;
    } catch (crash) {
      if (!(crash instanceof ValidationCrash)) throw crash;
      this.verdicts.set(source, { valid: false, errors: [innerCrash(name, spec, value, crash)] });
      return false;
    }
  }

  #literal(inputs: JsonObject, name: string, spec: InputSpec, raw: Json, type: NodeType): PromptError | undefined {
    let value = isObject(raw) && raw['__value__'] !== undefined ? raw['__value__'] : raw;
    inputs[name] = value;
    try {
      if (typeof spec[0] === 'string') value = coerce(spec[0], value);
      inputs[name] = value;
    } catch (failure) {
      if (!(failure instanceof ConversionError)) throw failure;
      return promptError(
        'invalid_input_type',
        `Failed to convert an input value to a ${typeText(spec)} value`,
        `${name}, ${pyStr(value)}, ${failure.message}`,
        { input_name: name, input_config: configOf(spec), received_value: value, exception_message: failure.message },
      );
    }
    if (type.check?.inputs.includes(name)) return undefined;
    return outOfRange(name, spec, value) ?? notInList(name, spec, value, this.#lists.traits);
  }

  /** `path` is closed: its first node is also its last. Versions that do not report cycles only find them invalid. */
  #cycle(path: readonly string[]): Verdict {
    if (!this.#lists.traits.reportsCycles) return { valid: false, errors: [] };
    const nodes = [...new Set(path)];
    const details = path.map((id) => `${id} (${this.#graph[id]?.class_type ?? ''})`).join(' -> ');
    for (const id of nodes) {
      const extra = { node_id: id, cycle_nodes: nodes };
      const error = promptError('dependency_cycle', 'Dependency cycle detected', details, extra);
      this.verdicts.set(id, { valid: false, errors: [error] });
    }
    return { valid: false, errors: [] };
  }

  /** A check is a Python function: it fails as one does when an argument is missing or is no text. */
  #ownCheck(type: NodeType, inputs: JsonObject): PromptError[] {
    const errors: PromptError[] = [];
    for (const name of type.check?.inputs ?? []) {
      const value = inputs[name];
      if (value === undefined) {
        const missing = `${type.name}.VALIDATE_INPUTS() missing 1 required positional argument: '${name}'`;
        throw new ValidationCrash('TypeError', missing);
      }
      if (typeof value !== 'string') {
        const type = isLink(value) ? 'NoneType' : pyType(value);
        throw new ValidationCrash('AttributeError', `'${type}' object has no attribute 'endswith'`);
      }
      const reason = type.check?.refuse(name, value, this.#files);
      if (reason !== undefined) {
        errors.push(
          promptError('custom_validation_failed', 'Custom validation failed for node', `${name} - ${reason}`, {
            input_name: name,
          }),
        );
      }
    }
    return errors;
  }

  #typeOf(id: string): NodeType {
    const type = this.#types.get(this.#graph[id]?.class_type ?? '');
    if (type === undefined) throw new ValidationCrash('KeyError', pyRepr(this.#graph[id]?.class_type));
    return type;
  }
}

/** Required inputs first, then optional ones. */
export function declaredInputs(facts: NodeFacts): [name: string, spec: InputSpec, required: boolean][] {
  return [
    ...Object.entries(facts.required ?? {}).map(([name, spec]): [string, InputSpec, boolean] => [name, spec, true]),
    ...Object.entries(facts.optional ?? {}).map(([name, spec]): [string, InputSpec, boolean] => [name, spec, false]),
  ];
}

/** The options of a combo in either form, or of a dynamic one; undefined for other inputs. */
export function optionsOf(spec: InputSpec): readonly Json[] | undefined {
  if (typeof spec[0] !== 'string') return spec[0];
  const options = spec[1]?.['options'];
  if (!Array.isArray(options)) return undefined;
  if (spec[0] === 'COMBO') return options;
  if (spec[0] === 'COMFY_DYNAMICCOMBO_V3')
    return options.map((option) => (isObject(option) ? (option['key'] ?? null) : null));
  return undefined;
}

function configOf(spec: InputSpec): Json {
  return [typeof spec[0] === 'string' ? spec[0] : [...spec[0]], { ...spec[1] }];
}

function outOfRange(name: string, spec: InputSpec, value: Json): PromptError | undefined {
  if (typeof value !== 'number' && typeof value !== 'bigint') return undefined;
  const { min, max } = spec[1] ?? {};
  const extra = { input_name: name, input_config: configOf(spec), received_value: value };
  // Python writes a whole FLOAT with its point.
  const number = (of: number | bigint): string => (spec[0] === 'FLOAT' && Number.isInteger(of) ? `${of}.0` : `${of}`);
  if ((typeof min === 'number' || typeof min === 'bigint') && value < min) {
    return promptError(
      'value_smaller_than_min',
      `Value ${number(value)} smaller than min of ${number(min)}`,
      name,
      extra,
    );
  }
  if ((typeof max === 'number' || typeof max === 'bigint') && value > max) {
    return promptError(
      'value_bigger_than_max',
      `Value ${number(value)} bigger than max of ${number(max)}`,
      name,
      extra,
    );
  }
  return undefined;
}

function notInList(name: string, spec: InputSpec, value: Json, traits: ProfileTraits): PromptError | undefined {
  if (typeof spec[0] === 'string' && !traits.checksNewLists) return undefined;
  const options = optionsOf(spec);
  if (options === undefined || options.includes(value)) return undefined;
  const isLong = options.length > SHOWN_OPTIONS;
  const list = isLong ? `(list of length ${options.length})` : pyRepr([...options]);
  const shown = traits.quotesRefusedValues ? `'${pyStr(value)}'` : pyRepr(value);
  return promptError('value_not_in_list', 'Value not in list', `${name}: ${shown} not in ${list}`, {
    input_name: name,
    input_config: isLong ? null : configOf(spec),
    received_value: value,
  });
}

function innerCrash(name: string, spec: InputSpec, link: Json[], crash: ValidationCrash): PromptError {
  return promptError('exception_during_inner_validation', 'Exception when validating inner node', crash.message, {
    input_name: name,
    input_config: configOf(spec),
    exception_message: crash.message,
    exception_type: crash.exceptionType,
    traceback: VALIDATION_TRACEBACK,
    linked_node: link,
  });
}

export const VALIDATION_TRACEBACK = ['  File "/ComfyUI/execution.py", in validate_inputs\n'];
