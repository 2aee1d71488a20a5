/** Every id that package.json and the code share. `manifest.test.ts` holds the two to each other. */
export const commands = {
  runWorkflow: 'podrelay.workflow.run',
  checkBackends: 'podrelay.backends.check',
  showLog: 'podrelay.log.show',
} as const;
export type CommandId = (typeof commands)[keyof typeof commands];

export const settingPrefix = 'podrelay.';
