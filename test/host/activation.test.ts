import assert from 'node:assert/strict';
import * as vscode from 'vscode';

describe('activation', () => {
  it('activates in a real VS Code', async () => {
    const extension = vscode.extensions.getExtension('podrelay.podrelay');
    assert.ok(extension, 'the extension under development is known');
    await extension.activate();
    assert.equal(extension.isActive, true);
  });
});
