import assert from 'node:assert/strict';
import { soakPods } from './podSoak.ts';

describe('windows that are killed while they see to pods', function () {
  this.timeout(180_000);

  it('leave none behind that runs unseen, and make none twice', async () => {
    const soak = await soakPods(10, 3);
    assert.deepEqual(soak, { ...soak, madeTwice: 0, leaked: [] });
    assert.ok(soak.made > 0, 'none was made');
  });
});
