import { existsSync, realpathSync } from 'node:fs';
import path from 'node:path';
import { downloadAndUnzipVSCode } from '@vscode/test-electron';
import { findOnPath } from './chromium.ts';

export interface VscodeHost {
  readonly kind: 'desktop' | 'server';
  /** What `runTests` spawns: a VS Code, or our executable that drives the VS Code server. */
  readonly executable: string;
  /** One line: which host was taken and why. */
  readonly why: string;
}

const serverHostExecutable = path.join(import.meta.dirname, 'serverHostExecutable.ts');

/** The VS Code to use: VSCODE_EXECUTABLE, one that is installed or can be downloaded, else the server host. */
export async function findHost(cacheFolder: string): Promise<VscodeHost> {
  const chosen = process.env.VSCODE_EXECUTABLE;
  if (chosen !== undefined && chosen !== '') {
    if (!existsSync(chosen)) throw new Error(`VSCODE_EXECUTABLE names '${chosen}', which is not there.`);
    return { kind: 'desktop', executable: chosen, why: `Host: ${chosen}, because VSCODE_EXECUTABLE names it` };
  }
  if (process.env.PODRELAY_HOST === 'server') return serverHost('PODRELAY_HOST asks for it');
  if (!hasDisplay()) return serverHost('there is no display');
  const installed = installedVscode();
  if (installed !== undefined) {
    return { kind: 'desktop', executable: installed, why: `Host: ${installed}, because it is installed` };
  }
  try {
    const executable = await downloadAndUnzipVSCode({ cachePath: cacheFolder, extractSync: true });
    return { kind: 'desktop', executable, why: 'Host: VS Code stable, downloaded because none is installed' };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return serverHost(`VS Code is not installed and cannot be downloaded (${reason})`);
  }
}

function serverHost(reason: string): VscodeHost {
  return {
    kind: 'server',
    executable: serverHostExecutable,
    why: `Host: VS Code server, because ${reason}`,
  };
}

/** macOS and Windows always have a desktop; elsewhere X11 or Wayland say so. */
export function hasDisplay(): boolean {
  if (process.platform === 'darwin' || process.platform === 'win32') return true;
  return Boolean(process.env.DISPLAY ?? process.env.WAYLAND_DISPLAY);
}

/** The program behind an installed `code` command: the command itself would return before the window closes. */
function installedVscode(): string | undefined {
  const command = findOnPath(['code']);
  const home = command === undefined ? undefined : path.dirname(path.dirname(realpathSync(command)));
  const candidates = [
    ...(home === undefined
      ? []
      : [path.join(home, 'code'), path.join(home, 'Code.exe'), ...macPrograms(path.join(home, '..', '..'))]),
    '/usr/share/code/code',
    ...macPrograms('/Applications/Visual Studio Code.app'),
    path.join(process.env.LOCALAPPDATA ?? '', 'Programs', 'Microsoft VS Code', 'Code.exe'),
  ];
  return candidates.find((file) => path.isAbsolute(file) && existsSync(file));
}

function macPrograms(bundle: string): string[] {
  return ['Code', 'Electron'].map((name) => path.join(bundle, 'Contents', 'MacOS', name));
}
