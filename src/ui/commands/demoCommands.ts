import * as vscode from 'vscode';
import { commands, contextKeys, viewContainer } from '../../contract.ts';
import { Fault } from '../../core/kernel/fault.ts';
import { setContext } from '../setContext.ts';
import { withProgress } from '../withProgress.ts';
import type { Command } from './runCommand.ts';

/** What the window offers for switching between the demo and the real services; see extension.ts. */
export interface DemoSwitch {
  /** Undefined while the real services are used. */
  readonly control: DemoControl | undefined;
  /** Ends this session and opens one over the simulator. */
  start(signal: AbortSignal): Promise<void>;
  /** Ends this session and opens one over the real services. */
  stop(): void;
}

/** What can be broken and repaired in the simulated world. */
export interface DemoControl {
  setLocal(on: boolean): Promise<void>;
  setCloud(working: boolean): Promise<void>;
}

export interface DemoCommandServices {
  readonly demo: DemoSwitch;
  /** Asks again how everything is. */
  readonly lookAgain: (signal: AbortSignal) => Promise<unknown>;
}

export function demoCommands({ demo, lookAgain }: DemoCommandServices): readonly Command[] {
  const change = async (
    what: (control: DemoControl) => Promise<void>,
    key: 'demoLocal' | 'demoCloud',
    isOn: boolean,
    signal: AbortSignal,
  ): Promise<void> => {
    if (demo.control === undefined) {
      throw new Fault('rejected', 'The demo does not run', { nextStep: vscode.l10n.t("Run 'Try the Demo' first.") });
    }
    await what(demo.control);
    setContext(contextKeys[key], isOn);
    await lookAgain(signal);
  };
  const failure = vscode.l10n.t('The demo could not be changed');
  const setLocal = (on: boolean) => (_: unknown, signal: AbortSignal) =>
    change((control) => control.setLocal(on), 'demoLocal', on, signal);
  const setCloud = (on: boolean) => (_: unknown, signal: AbortSignal) =>
    change((control) => control.setCloud(on), 'demoCloud', on, signal);
  let starting: Promise<void> | undefined;
  const tryDemo = async (): Promise<void> => {
    if (demo.control === undefined) {
      starting = startDemo(demo).finally(() => (starting = undefined));
      await starting;
    }
    await showDemo();
  };
  return [
    {
      id: commands.startDemo,
      failure: vscode.l10n.t('The demo could not be started'),
      // A second click starts no second simulator.
      run: () => starting ?? tryDemo(),
    },
    {
      id: commands.stopDemo,
      failure: vscode.l10n.t('The demo could not be ended'),
      run: () => Promise.resolve(demo.stop()),
    },
    { id: commands.demoLocalOff, failure, run: setLocal(false) },
    { id: commands.demoLocalOn, failure, run: setLocal(true) },
    { id: commands.demoCloudOff, failure, run: setCloud(false) },
    { id: commands.demoCloudOn, failure, run: setCloud(true) },
  ];
}

function startDemo(demo: DemoSwitch): Promise<void> {
  // Not the session's signal: the demo ends the session that this command belongs to.
  const ownLife = new AbortController().signal;
  return withProgress(vscode.l10n.t('PodRelay: starting the demo'), ownLife, (_report, signal) => demo.start(signal));
}

async function showDemo(): Promise<void> {
  await vscode.commands.executeCommand(`workbench.view.extension.${viewContainer}`);
  const run = vscode.l10n.t('Run Workflow');
  const chosen = await vscode.window.showInformationMessage(
    vscode.l10n.t(
      'The demo runs: a simulated ComfyUI, RunPod account and Gemini on this machine. No account, no cost. Open a workflow and run it.',
    ),
    run,
  );
  if (chosen === run) await vscode.commands.executeCommand(commands.runWorkflow);
}
