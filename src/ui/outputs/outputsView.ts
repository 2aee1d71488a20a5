import { randomBytes } from 'node:crypto';
import * as vscode from 'vscode';
import { commands } from '../../contract.ts';
import type { CommandId } from '../../contract.ts';
import type { JobRunner } from '../../core/jobs/jobRunner.ts';
import { Fault, toFault } from '../../core/kernel/fault.ts';
import type { Event } from '../../core/kernel/event.ts';
import type { Late } from '../../core/kernel/late.ts';
import { Lifetime } from '../../core/kernel/lifetime.ts';
import type { Clock, Log } from '../../core/kernel/ports.ts';
import type { JobStarter } from '../jobs/jobStarter.ts';
import { showFault } from '../notify.ts';
import { pageMessage } from './messages.ts';
import type { CardAction, NextStep } from './messages.ts';
import { outputsScene } from './outputCards.ts';
import { outputsPage } from './outputsPage.ts';
import { repeatOf } from './repeatOf.ts';
import { onDesktop, revealFile } from './revealFile.ts';
import { OutputScanner } from './scanOutputs.ts';
import type { FoundOutput, OutputScan } from './scanOutputs.ts';

/** What the view uses of a session. */
export interface OutputsServices {
  readonly outputFolder: () => string;
  readonly jobs: JobRunner;
  readonly starter: Late<JobStarter>;
  readonly isDemo: boolean;
  /** Settings changed, the output folder perhaps. */
  readonly onDidChangeSetup: Event<unknown>;
  readonly clock: Clock;
  /** Ends with the session. */
  readonly signal: AbortSignal;
}

export interface OutputsViewOptions {
  readonly view: vscode.WebviewView;
  readonly extensionUri: vscode.Uri;
  readonly log: Log;
  readonly services: () => OutputsServices | undefined;
  readonly onDidAttach: Event<OutputsServices | undefined>;
}

const mostCards = 60;
/** Files come in bursts: what changes within this time is read together. */
const gatherMs = 100;

/** Draws the output folder and follows it, as long as the view is on the screen. */
export function showOutputs(
  { view, extensionUri, log, services, onDidAttach }: OutputsViewOptions,
  life: Lifetime,
): void {
  const { webview } = view;
  const scanner = new OutputScanner();
  let shown: ReadonlyMap<string, FoundOutput> = new Map();
  let ready = false;
  let folder: string | undefined;

  const post = (scan: OutputScan | undefined, failure: string | undefined): void => {
    const scene = outputsScene({
      scan,
      failure,
      trusted: vscode.workspace.isTrusted,
      demo: services()?.isDemo ?? false,
      onDesktop: onDesktop(),
      sourceOf: (file) => webview.asWebviewUri(vscode.Uri.file(file)).toString(),
    });
    void webview.postMessage(scene);
  };
  const read = async (session: OutputsServices, signal: AbortSignal): Promise<void> => {
    const now = session.outputFolder();
    if (now !== folder) {
      folder = now;
      webview.options = pageOptions(extensionUri, folder);
    }
    try {
      const scan = await scanner.scan(now, mostCards, signal);
      shown = new Map(scan.outputs.map((output) => [output.name, output]));
      post(scan, undefined);
    } catch (error) {
      const fault = toFault(error);
      if (fault.kind === 'cancelled') return;
      log.warn(`The outputs could not be listed: ${fault.message}`);
      post(undefined, `${fault.message}. ${fault.facts.nextStep ?? ''}`.trim());
    }
  };

  let reading = false;
  let again = false;
  const refresh = async (waitMs = gatherMs): Promise<void> => {
    again = true;
    if (reading) return;
    reading = true;
    try {
      while (again) {
        const session = services();
        if (session === undefined || !view.visible || !ready || life.signal.aborted) return;
        const signal = AbortSignal.any([session.signal, life.signal]);
        await session.clock.sleep(waitMs, signal);
        again = false;
        await read(session, signal);
      }
    } catch (error) {
      const fault = toFault(error);
      if (fault.kind !== 'cancelled') log.error('The outputs could not be shown', fault);
    } finally {
      reading = false;
    }
  };

  const act = async (action: CardAction, file: string): Promise<void> => {
    const output = shown.get(file);
    if (output === undefined) throw new Fault('rejected', `'${file}' is no longer there`);
    await actOn(output, action, services());
  };
  const takeStep = async (step: NextStep): Promise<unknown> =>
    step === 'refresh' ? refresh(0) : vscode.commands.executeCommand(commandOf(step));
  const receive = (message: unknown): void => {
    const parsed = pageMessage.safeParse(message);
    if (!parsed.success) return log.warn('The Outputs page sent a message that is not one');
    const { data } = parsed;
    if (data.type === 'ready') {
      ready = true;
      void refresh(0);
      return;
    }
    const work = data.type === 'act' ? act(data.action, data.file) : takeStep(data.step);
    work.catch((error: unknown) => {
      const failure = data.type === 'act' ? failures[data.action] : vscode.l10n.t('The command could not be run');
      if (toFault(error).kind !== 'cancelled') log.error(failure, error);
      void showFault(failure, error).catch((unshown: unknown) => log.error('The message could not be shown', unshown));
    });
  };

  let following: Lifetime | undefined;
  const follow = (): void => {
    following?.dispose();
    following = undefined;
    const session = services();
    if (!view.visible || session === undefined) return;
    const on = new Lifetime();
    following = on;
    const newer = (): void => void refresh();
    // Jobs change with every step of theirs; what they make is there once they have ended.
    let running = idsOf(session.jobs);
    on.own(
      session.jobs.onDidChange(() => {
        const before = running;
        running = idsOf(session.jobs);
        if (before.some((id) => !running.includes(id))) newer();
      }),
    );
    on.own(
      session.onDidChangeSetup(() => {
        if (session.outputFolder() !== folder) follow();
      }),
    );
    on.own(vscode.workspace.onDidGrantWorkspaceTrust(newer));
    // Changes of a file are parts that are being written: a result comes and goes under its name.
    const pattern = new vscode.RelativePattern(vscode.Uri.file(session.outputFolder()), '*');
    const watcher = on.own(vscode.workspace.createFileSystemWatcher(pattern, false, true, false));
    on.own(watcher.onDidCreate(newer));
    on.own(watcher.onDidDelete(newer));
    newer();
  };

  life.own({ dispose: () => following?.dispose() });
  life.own(webview.onDidReceiveMessage(receive));
  life.own(view.onDidChangeVisibility(follow));
  life.own(onDidAttach(follow));
  folder = services()?.outputFolder();
  webview.options = pageOptions(extensionUri, folder);
  webview.html = outputsPage({
    nonce: randomBytes(16).toString('base64url'),
    cspSource: webview.cspSource,
    scriptUri: webview.asWebviewUri(vscode.Uri.joinPath(extensionUri, 'dist', 'webview', 'outputs.js')).toString(),
    styleUri: webview.asWebviewUri(vscode.Uri.joinPath(extensionUri, 'media', 'webview', 'outputs.css')).toString(),
  });
  follow();
}

function pageOptions(extensionUri: vscode.Uri, folder: string | undefined): vscode.WebviewOptions {
  const own = [['media', 'webview'] as const, ['dist', 'webview'] as const];
  return {
    enableScripts: true,
    localResourceRoots: [
      ...own.map((parts) => vscode.Uri.joinPath(extensionUri, ...parts)),
      ...(folder === undefined ? [] : [vscode.Uri.file(folder)]),
    ],
  };
}

const failures: Readonly<Record<CardAction, string>> = {
  open: vscode.l10n.t('The file could not be opened'),
  reveal: vscode.l10n.t('The file could not be shown in its folder'),
  copyPath: vscode.l10n.t('The path could not be copied'),
  repeat: vscode.l10n.t('The job could not be repeated'),
};

async function actOn(output: FoundOutput, action: CardAction, session: OutputsServices | undefined): Promise<void> {
  switch (action) {
    case 'open':
      await vscode.commands.executeCommand('vscode.open', vscode.Uri.file(output.path), { preview: true });
      return;
    case 'reveal':
      await revealFile(output.path);
      return;
    case 'copyPath':
      await vscode.env.clipboard.writeText(output.path);
      vscode.window.setStatusBarMessage(vscode.l10n.t('$(check) Path copied'), 3_000);
      return;
    case 'repeat':
      if (session === undefined) return;
      await session.starter.repeat(repeatOf(output, isInWorkspace), session.signal);
  }
}

function idsOf(jobs: JobRunner): readonly string[] {
  return jobs.running().map(({ id }) => id);
}

function isInWorkspace(folder: string): boolean {
  return vscode.workspace.getWorkspaceFolder(vscode.Uri.file(folder)) !== undefined;
}

function commandOf(step: Exclude<NextStep, 'refresh'>): CommandId | 'workbench.trust.manage' {
  switch (step) {
    case 'generate':
      return commands.generateFromPrompt;
    case 'runWorkflow':
      return commands.runWorkflow;
    case 'startDemo':
      return commands.startDemo;
    case 'openFolder':
      return commands.openOutputFolder;
    case 'trust':
      return 'workbench.trust.manage';
  }
}
