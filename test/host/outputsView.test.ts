import assert from 'node:assert/strict';
import * as vscode from 'vscode';
import { commands, viewContainer, views, walkthrough } from '../../src/contract.ts';

describe('views and pages', () => {
  let extension: vscode.Extension<unknown>;

  before(async () => {
    const found = vscode.extensions.getExtension('podrelay.podrelay');
    assert.ok(found);
    extension = found;
    await extension.activate();
  });

  const pages = () =>
    vscode.window.tabGroups.all
      .flatMap(({ tabs }) => tabs)
      .filter(({ input }) => input instanceof vscode.TabInputWebview && input.viewType.endsWith('podrelay.costs'));

  it('opens the Outputs view', async () => {
    await vscode.commands.executeCommand(`workbench.view.extension.${viewContainer}`);
    // Rejects when there is no such view; what it then shows is the journeys' to prove.
    await vscode.commands.executeCommand(`${views.outputs}.focus`);
  });

  it('opens one page of costs, however often it is asked for', async () => {
    await vscode.commands.executeCommand(commands.showCosts);
    await vscode.commands.executeCommand(commands.showCosts);
    await until(() => pages().length === 1);
    await vscode.window.tabGroups.close(pages());
    await vscode.commands.executeCommand(commands.showCosts);
    await until(() => pages().length === 1);
    await vscode.window.tabGroups.close(pages());
  });

  it('shows a problem report as a text that is not saved anywhere', async () => {
    await vscode.commands.executeCommand(commands.reportProblem);
    const document = vscode.window.activeTextEditor?.document;
    assert.ok(document);
    assert.equal(document.isUntitled, true);
    assert.match(document.getText(), /PodRelay: \d+\.\d+\.\d+/);
    await vscode.commands.executeCommand('workbench.action.revertAndCloseActiveEditor');
  });

  it('has the walkthrough that the command opens', () => {
    const { contributes } = extension.packageJSON as { contributes: { walkthroughs: readonly { id: string }[] } };
    assert.ok(contributes.walkthroughs.some(({ id }) => id === walkthrough));
  });
});

async function until(isSo: () => boolean): Promise<void> {
  const end = Date.now() + 10_000;
  while (!isSo()) {
    assert.ok(Date.now() < end, 'waited 10 s');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
