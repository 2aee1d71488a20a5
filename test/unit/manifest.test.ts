import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { commands, contextKeys, rowTokens, settingPrefix, viewContainer, views } from '../../src/contract.ts';
import { tiers } from '../../src/core/backends/backend.ts';
import type { SettingRule } from '../../src/core/settingRule.ts';
import { settingKeys, settingRules } from '../../src/core/settings.ts';

interface Entry {
  readonly when?: string;
  readonly command: string;
  readonly group: string;
}

interface View {
  readonly id: string;
  readonly name: string;
  readonly type?: string;
  readonly when?: string;
}

interface Property {
  readonly type: string | readonly string[];
  readonly default: unknown;
  readonly scope: string;
  readonly enum?: readonly string[];
  readonly items?: { readonly enum?: readonly string[] };
  readonly minimum: number;
  readonly markdownDescription?: string;
}

interface Contributions {
  readonly commands: readonly {
    readonly command: string;
    readonly title: string;
    readonly category: string;
    readonly icon?: string;
    readonly enablement?: string;
  }[];
  readonly menus: Readonly<Record<string, readonly Entry[]>>;
  readonly views: Readonly<Record<string, readonly View[]>>;
  readonly viewsContainers: { readonly activitybar: readonly View[] };
  readonly viewsWelcome: readonly { readonly view: string; readonly contents: string; readonly when?: string }[];
  readonly walkthroughs?: readonly { readonly steps: readonly { readonly when?: string }[] }[];
  readonly configuration: { readonly properties: Readonly<Record<string, Property>> };
}

const root = path.resolve(import.meta.dirname, '..', '..');
const readJson = (file: string) => JSON.parse(readFileSync(path.join(root, file), 'utf8'));
const manifest = readJson('package.json');
const nls: Record<string, string> = readJson('package.nls.json');
const contributes: Contributions = manifest.contributes;
const { commands: declared, menus, viewsWelcome } = contributes;
const { properties } = contributes.configuration;
const ourViews = Object.values(contributes.views).flat();

function declaredAs(command: string) {
  const found = declared.find((one) => one.command === command);
  assert.ok(found, command);
  return found;
}

function property(key: string): Property {
  const found = properties[settingPrefix + key];
  assert.ok(found, `package.json declares no setting ${settingPrefix}${key}`);
  return found;
}

/** Every string of a part of the manifest. */
function strings(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  if (typeof value !== 'object' || value === null) return [];
  return Object.values(value).flatMap(strings);
}

const clauses: string[] = [
  ...Object.values(menus)
    .flat()
    .map(({ when }) => when),
  ...declared.map(({ enablement }) => enablement),
  ...viewsWelcome.map(({ when }) => when),
  ...ourViews.map(({ when }) => when),
  ...(contributes.walkthroughs ?? []).flatMap(({ steps }) => steps.map(({ when }) => when)),
].filter((clause) => clause !== undefined);

describe('manifest: commands', () => {
  it('declares exactly the commands of the contract', () => {
    assert.deepEqual(declared.map(({ command }) => command).sort(), Object.values(commands).sort());
  });

  it('does something for every command, once', () => {
    const files = readdirSync(path.join(root, 'src', 'ui'), { recursive: true, encoding: 'utf8' });
    const sources = files.filter((name) => name.endsWith('.ts'));
    const done = sources.flatMap((name) => [
      ...readFileSync(path.join(root, 'src', 'ui', name), 'utf8').matchAll(/\bid: commands\.(\w+),\s*failure/g),
    ]);
    assert.deepEqual(done.map(([, name]) => name).sort(), Object.keys(commands).sort());
  });

  it('names them podrelay.<noun>.<verb>, with a title of the same key and one category', () => {
    for (const { command, title, category } of declared) {
      assert.match(command, /^podrelay\.[a-z][A-Za-z]*\.[a-z][A-Za-z]*$/);
      assert.equal(title, `%${command}.title%`);
      assert.equal(category, '%podrelay.category%');
    }
  });

  it('uses only declared commands in menus and welcome texts', () => {
    const known = new Set<string>([...Object.values(commands), 'workbench.trust.manage']);
    for (const [menu, entries] of Object.entries(menus)) {
      for (const { command } of entries) assert.ok(known.has(command), `${menu}: ${command}`);
    }
    for (const text of Object.values(nls)) {
      for (const [, id] of text.matchAll(/\(command:([\w.]+)/g)) assert.ok(known.has(id!), `package.nls.json: ${id}`);
    }
  });

  it('gives every command at the head of a view or inline on a row an icon', () => {
    const icons = new Map(declared.map(({ command, icon }) => [command, icon]));
    const shown = [...(menus['view/title'] ?? []), ...(menus['view/item/context'] ?? [])];
    for (const { command, group } of shown) {
      if (/^(inline|navigation)/.test(group)) assert.ok(icons.get(command), `${command} has no icon`);
    }
  });

  it('asks for a trusted workspace before anything that may spend', () => {
    const { runWorkflow, runWithInputs, queueBatch, addToQueue, retryJob, deployPod, startPod, restartPod } = commands;
    const { createEndpoint, useEndpoint, setEndpointWorkers } = commands;
    const spending = [
      ...[runWorkflow, runWithInputs, queueBatch, addToQueue, retryJob, deployPod, startPod, restartPod],
      ...[createEndpoint, useEndpoint, setEndpointWorkers],
    ];
    for (const id of spending) {
      assert.match(declaredAs(id).enablement ?? '', /isWorkspaceTrusted/, id);
    }
  });
});

describe('manifest: texts', () => {
  const used = [
    ...new Set(strings(manifest).flatMap((text) => [...text.matchAll(/^%([^%]+)%$/g)].map(([, key]) => key))),
  ];

  it('has exactly the texts that package.json names', () => {
    assert.deepEqual(used.sort(), Object.keys(nls).sort());
  });

  it('writes no title into package.json itself', () => {
    for (const view of ourViews) assert.match(view.name, /^%.+%$/);
    for (const { contents } of viewsWelcome) assert.match(contents, /^%.+%$/);
  });

  it('names icons that exist', () => {
    const files = strings(contributes).filter((text) => /^media\/.+\.(svg|png|md)$/.test(text));
    assert.ok(files.length > 0);
    for (const file of files) assert.ok(existsSync(path.join(root, file)), file);
  });
});

describe('manifest: views and when clauses', () => {
  it('declares exactly the views of the contract, in our container', () => {
    assert.deepEqual(Object.keys(contributes.views), [viewContainer]);
    assert.deepEqual(
      contributes.viewsContainers.activitybar.map(({ id }) => id),
      [viewContainer],
    );
    const ids = ourViews.map(({ id }) => id);
    assert.deepEqual(ids.sort(), Object.values(views).sort());
  });

  it('has a welcome text for every tree view, and one for an untrusted workspace', () => {
    for (const { id, type } of ourViews) {
      if (type === 'webview') continue;
      const texts = viewsWelcome.filter(({ view }) => view === id);
      assert.ok(texts.length > 0, id);
      assert.ok(
        texts.some(({ when }) => when?.includes('!isWorkspaceTrusted')),
        `${id}: untrusted`,
      );
    }
  });

  it('matches only row tokens that rows can have', () => {
    const tokens = clauses.flatMap((clause) =>
      [...clause.matchAll(/viewItem =~ \/;([\w;]+);\//g)].map(([, one]) => one!),
    );
    assert.ok(tokens.length > 0);
    for (const token of tokens.flatMap((one) => one.split(';'))) assert.ok(rowTokens.includes(token as never), token);
    const all = clauses.flatMap((clause) => [...clause.matchAll(/viewItem/g)]);
    assert.equal(all.length, tokens.length, 'every viewItem is matched as /;token;/');
  });

  it('uses every row token', () => {
    const text = clauses.join('\n');
    const unused = rowTokens.filter((token) => !new RegExp(`;${token};`).test(text));
    assert.deepEqual(unused, []);
  });

  it('reads only context keys that somebody sets', () => {
    const ofVscode = [
      'view',
      'viewItem',
      'isWorkspaceTrusted',
      'resourceExtname',
      'resourcePath',
      'editorHasSelection',
      'editorLangId',
    ];
    const known = new Set<string>([...ofVscode, ...Object.values(contextKeys)]);
    for (const clause of clauses) {
      const bare = clause.replaceAll(/\/[^/]*\//g, '').replaceAll(/(==|!=|=~)\s*[^\s&|)]+|\bin\b/g, '');
      for (const [word] of bare.matchAll(/[A-Za-z][\w.-]*/g)) {
        const setting = word.startsWith(`config.${settingPrefix}`) ? word.slice(`config.${settingPrefix}`.length) : '';
        assert.ok(known.has(word) || settingKeys.includes(setting as never), `'${word}' in: ${clause}`);
      }
    }
  });

  it('reads every context key of the contract', () => {
    for (const key of Object.values(contextKeys))
      assert.ok(
        clauses.some((clause) => clause.includes(key)),
        key,
      );
  });
});

describe('manifest: settings', () => {
  it('declares exactly the settings of the rules', () => {
    assert.deepEqual(Object.keys(properties).sort(), settingKeys.map((key) => settingPrefix + key).sort());
  });

  it('has the same defaults', () => {
    for (const key of settingKeys) {
      assert.deepEqual(property(key).default, settingRules[key].fallback, key);
    }
  });

  it('has types and choices that its rule accepts, and no others', () => {
    for (const key of settingKeys) {
      const { enum: choices, items, ...declaredAs } = property(key);
      const types = [declaredAs.type].flat();
      const rule: SettingRule<unknown> = settingRules[key];
      const accepts = (value: unknown) => rule.accepts(value);
      const samples: Record<string, unknown> = {
        boolean: true,
        number: 77.5,
        integer: 77,
        string: 'x',
        array: ['x'],
        object: {},
        null: null,
      };
      for (const [name, sample] of Object.entries(samples)) {
        const isNumber = types.includes('number') || types.includes('integer');
        if (types.includes(name) || (isNumber && (name === 'integer' || name === 'number'))) continue;
        assert.equal(
          accepts(sample),
          false,
          `${key} is of type ${types.join(' or ')}, but its rule accepts ${JSON.stringify(sample)}`,
        );
      }
      for (const choice of choices ?? []) assert.ok(accepts(choice), `${key}: ${choice}`);
      if (choices) assert.equal(accepts('none of these'), false, key);
      if (items?.enum) assert.deepEqual(items.enum, [...tiers], key);
      if (types.includes('null')) assert.ok(accepts(null), `${key}: null`);
      if (types.includes('number') || types.includes('integer')) {
        assert.equal(accepts(property(key).minimum - 0.001), false, `${key}: its minimum`);
        assert.equal(accepts(77.5), types.includes('number'), `${key}: ${types.join(' or ')}`);
      }
    }
  });

  it('lets no workspace move a key, raise a cap or choose what runs: such settings have machine scope', () => {
    const sensitive = /url$|podId$|image$|model$|^cloud\.(?!enabled$)|^budget\.|^gemini\.fallback$/i;
    for (const key of settingKeys.filter((one) => sensitive.test(one))) {
      assert.equal(property(key).scope, 'machine', key);
    }
  });

  it('restricts in untrusted workspaces whatever is sensitive', () => {
    const restricted: string[] = manifest.capabilities.untrustedWorkspaces.restrictedConfigurations;
    for (const name of restricted) assert.ok(name in properties, name);
    const machine = Object.keys(properties).filter((name) => properties[name]?.scope === 'machine');
    assert.deepEqual(restricted.toSorted(), machine.sort());
  });

  it('says of every setting what it does', () => {
    for (const [name, { markdownDescription }] of Object.entries(properties)) assert.ok(markdownDescription, name);
  });
});
