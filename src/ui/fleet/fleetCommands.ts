import * as vscode from 'vscode';
import { commands } from '../../contract.ts';
import type { Fleet } from '../../core/fleet/fleet.ts';
import type { Settings } from '../../core/settings.ts';
import type { Command } from '../commands/runCommand.ts';
import type { TextDocuments } from '../queue/textDocuments.ts';
import { fleetText } from './fleetText.ts';

export interface FleetCommandServices {
  readonly fleet: Fleet;
  readonly settings: () => Settings;
  readonly documents: TextDocuments;
}

export function fleetCommands({ fleet, settings, documents }: FleetCommandServices): readonly Command[] {
  return [
    {
      id: commands.showFleet,
      failure: vscode.l10n.t('The decisions could not be shown'),
      run: async () => {
        const story = {
          decisions: await fleet.decisions(),
          next: fleet.next,
          maxPods: settings()['fleet.maxPods'],
          timeText: (ms: number) => new Date(ms).toLocaleString(),
        };
        await documents.show('Fleet Decisions.txt', fleetText(story));
      },
    },
  ];
}
