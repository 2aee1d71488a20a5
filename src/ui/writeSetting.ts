import * as vscode from 'vscode';
import { settingPrefix } from '../contract.ts';
import type { SettingKey, Settings } from '../core/settings.ts';

/** Writes where the value comes from now: into the workspace when that sets it already, else for the user. */
export async function writeSetting<K extends SettingKey>(key: K, value: Settings[K] | undefined): Promise<void> {
  const config = vscode.workspace.getConfiguration();
  const name = settingPrefix + key;
  const inWorkspace = config.inspect(name)?.workspaceValue !== undefined;
  const target = inWorkspace ? vscode.ConfigurationTarget.Workspace : vscode.ConfigurationTarget.Global;
  await config.update(name, value, target);
}
