import assert from 'node:assert/strict';
import { markedLocalOnly } from '../../src/core/generate/markedLocalOnly.ts';
import { acrossFolders } from '../../src/host/acrossFolders.ts';

const folder = (settings: Record<string, unknown>) => (key: string) => settings[key];

describe('what stays on this machine', () => {
  it('is a workflow with [local only] in the title of a node, however it is written', () => {
    const titled = (title?: unknown) => ({
      workflow: {
        '1': { class_type: 'A', inputs: {}, ...(title === undefined ? {} : { _meta: { title: title as string } }) },
      },
      localOnly: false,
    });
    for (const title of ['Save Image [local only]', '[localOnly] Sampler', 'x [LOCAL-ONLY]'])
      assert.equal(markedLocalOnly(titled(title)).localOnly, true, title);
    for (const title of [undefined, null, 7, 'local only', 'Save Image'])
      assert.equal(markedLocalOnly(titled(title)).localOnly, false);
    assert.equal(markedLocalOnly({ ...titled(), localOnly: true }).localOnly, true);
  });

  it('is every job of a window of which one folder says so', () => {
    const label = (...values: readonly [unknown, ...unknown[]]) => {
      const [first, ...others] = values.map((value) => folder({ 'privacy.localOnly': value }));
      return acrossFolders([first!, ...others])('privacy.localOnly');
    };
    assert.equal(label(false, false), false);
    assert.equal(label(false, true), true);
    assert.equal(label(true, false), true);
    assert.equal(label(undefined, 'yes'), undefined);
  });

  it('is no reason to read another setting from a folder but the first', () => {
    const read = acrossFolders([folder({ outputFolder: 'a' }), folder({ outputFolder: 'b' })]);
    assert.equal(read('outputFolder'), 'a');
  });
});
