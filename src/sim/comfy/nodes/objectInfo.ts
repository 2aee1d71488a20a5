import type { Json, JsonObject } from '../pyJson.ts';
import type { InputSpec, Lists, NodeFacts, NodeType } from './nodeType.ts';

/** The definition of a class as `GET /object_info` of this version has it (comfyui.md 4.1). */
export function objectInfoOf(type: NodeType, lists: Lists): JsonObject {
  const facts = type.facts(lists);
  return facts.v3 ? v3Info(type.name, facts, lists) : v1Info(type.name, facts, lists);
}

function inputSections(facts: NodeFacts): { input: JsonObject; input_order: JsonObject } {
  const input: JsonObject = {};
  const order: JsonObject = {};
  const sections = { required: facts.required, optional: facts.optional };
  for (const [section, specs] of Object.entries(sections)) {
    if (specs === undefined) continue;
    input[section] = Object.fromEntries(Object.entries(specs).map(([name, spec]) => [name, specJson(spec)]));
    order[section] = Object.keys(specs);
  }
  if (facts.hidden) {
    input['hidden'] = Object.fromEntries(
      Object.entries(facts.hidden).map(([name, kind]): [string, Json] => [name, facts.v3 ? [kind] : kind]),
    );
    order['hidden'] = Object.keys(facts.hidden);
  }
  return { input, input_order: order };
}

function specJson(spec: InputSpec): Json {
  const type = typeof spec[0] === 'string' ? spec[0] : [...spec[0]];
  return spec[1] === undefined ? [type] : [type, { ...spec[1] }];
}

function outputs(facts: NodeFacts): JsonObject {
  return {
    output: facts.outputs.map(([type]) => type),
    output_is_list: [...(facts.outputIsList ?? facts.outputs.map(() => false))],
    output_name: facts.outputs.map(([, name]) => name),
  };
}

function naming(name: string, facts: NodeFacts): JsonObject {
  return {
    name,
    display_name: facts.display,
    description: '',
    python_module: facts.module,
    category: facts.category,
    output_node: facts.outputNode === true,
  };
}

function described(facts: NodeFacts): Json[] {
  const length = typeof facts.describesOutputs === 'number' ? facts.describesOutputs : facts.outputs.length;
  return Array.from({ length }, () => null);
}

function v1Info(name: string, facts: NodeFacts, lists: Lists): JsonObject {
  const isNew = lists.traits.profile === '0.33.0';
  return {
    ...inputSections(facts),
    ...(isNew && { is_input_list: false }),
    ...outputs(facts),
    ...naming(name, facts),
    ...(isNew && { has_intermediate_output: false }),
    ...(facts.describesOutputs !== undefined && { output_tooltips: described(facts) }),
    ...(facts.deprecated && { deprecated: true }),
    ...(facts.experimental && { experimental: true }),
    ...(isNew && { search_aliases: [] }),
    ...(isNew && facts.essentials !== undefined && { essentials_category: facts.essentials }),
  };
}

function v3Info(name: string, facts: NodeFacts, lists: Lists): JsonObject {
  const isNew = lists.traits.profile === '0.33.0';
  return {
    ...inputSections(facts),
    ...(isNew && { is_input_list: false }),
    ...outputs(facts),
    output_tooltips: facts.outputs.map(() => null),
    ...(lists.traits.profile !== '0.3.64' && { output_matchtypes: null }),
    ...naming(name, facts),
    deprecated: facts.deprecated === true,
    experimental: facts.experimental === true,
    ...(isNew && { dev_only: false }),
    api_node: false,
    ...(isNew && {
      price_badge: null,
      search_aliases: [],
      essentials_category: facts.essentials ?? null,
      has_intermediate_output: false,
    }),
  };
}
