/** Every id that package.json and the code share. `manifest.test.ts` holds the two to each other. */
export const commands = {
  runWorkflow: 'podrelay.workflow.run',
  runWithInputs: 'podrelay.workflow.runWithInputs',
  generateFromPrompt: 'podrelay.prompt.generate',
  generateFromSelection: 'podrelay.selection.generate',
  repeatLast: 'podrelay.job.repeat',
  cancelJob: 'podrelay.job.cancel',
  retryJob: 'podrelay.job.retry',
  moveJobUp: 'podrelay.job.moveUp',
  moveJobDown: 'podrelay.job.moveDown',
  moveJobToTop: 'podrelay.job.moveToTop',
  explainJob: 'podrelay.job.explain',
  openJobOutput: 'podrelay.job.openOutput',
  queueBatch: 'podrelay.batch.queue',
  addToQueue: 'podrelay.workflow.queue',
  pauseQueue: 'podrelay.queue.pause',
  resumeQueue: 'podrelay.queue.resume',
  clearJobs: 'podrelay.jobs.clear',
  refreshJobs: 'podrelay.jobs.refresh',
  checkBackends: 'podrelay.backends.check',
  chooseBackend: 'podrelay.backends.choose',
  chooseStrategy: 'podrelay.strategy.choose',
  useAllBackends: 'podrelay.backends.useAll',
  useOnlyBackend: 'podrelay.backend.useOnly',
  preferBackend: 'podrelay.backend.prefer',
  switchOnBackend: 'podrelay.backend.switchOn',
  switchOffBackend: 'podrelay.backend.switchOff',
  openComfy: 'podrelay.comfy.open',
  showMenu: 'podrelay.status.open',
  showViews: 'podrelay.views.open',
  startDemo: 'podrelay.demo.start',
  stopDemo: 'podrelay.demo.stop',
  demoLocalOff: 'podrelay.demo.localOff',
  demoLocalOn: 'podrelay.demo.localOn',
  demoCloudOff: 'podrelay.demo.cloudOff',
  demoCloudOn: 'podrelay.demo.cloudOn',
  deployPod: 'podrelay.pod.deploy',
  startPod: 'podrelay.pod.start',
  stopPod: 'podrelay.pod.stop',
  restartPod: 'podrelay.pod.restart',
  terminatePod: 'podrelay.pod.terminate',
  usePodForJobs: 'podrelay.pod.useForJobs',
  openPodComfy: 'podrelay.pod.openComfy',
  openPodConsole: 'podrelay.pod.openConsole',
  copyPodAddress: 'podrelay.pod.copyAddress',
  showPodLogs: 'podrelay.pod.showLogs',
  endPodLogs: 'podrelay.pod.endLogs',
  createEndpoint: 'podrelay.endpoint.create',
  useEndpoint: 'podrelay.endpoint.useForJobs',
  stopUsingEndpoint: 'podrelay.endpoint.stopUsing',
  setEndpointWorkers: 'podrelay.endpoint.setWorkers',
  setEndpointMinWorkers: 'podrelay.endpoint.setMinWorkers',
  showWorkerLogs: 'podrelay.endpoint.showWorkerLogs',
  purgeEndpoint: 'podrelay.endpoint.purge',
  deleteEndpoint: 'podrelay.endpoint.delete',
  openEndpointConsole: 'podrelay.endpoint.openConsole',
  showEndpointHealth: 'podrelay.endpoint.showHealth',
  refreshPods: 'podrelay.pods.refresh',
  stopAllPods: 'podrelay.pods.stopAll',
  filterPods: 'podrelay.pods.filter',
  groupPods: 'podrelay.pods.group',
  setRunpodKey: 'podrelay.key.setRunpod',
  setGeminiKey: 'podrelay.key.setGemini',
  removeKeys: 'podrelay.keys.remove',
  insertOutput: 'podrelay.output.insert',
  openOutputFolder: 'podrelay.outputs.openFolder',
  showFleet: 'podrelay.fleet.show',
  setUpFleet: 'podrelay.fleet.setUp',
  showCosts: 'podrelay.costs.show',
  exportCosts: 'podrelay.costs.export',
  setBudget: 'podrelay.budget.set',
  compareBill: 'podrelay.bill.compare',
  openWalkthrough: 'podrelay.walkthrough.open',
  reportProblem: 'podrelay.problem.report',
  openSettings: 'podrelay.settings.open',
  showLog: 'podrelay.log.show',
} as const;
export type CommandId = (typeof commands)[keyof typeof commands];

export const settingPrefix = 'podrelay.';
export const viewContainer = 'podrelay';

export const views = {
  backends: 'podrelay.backends',
  pods: 'podrelay.pods',
  jobs: 'podrelay.jobs',
  outputs: 'podrelay.outputs',
} as const;
export type ViewId = (typeof views)[keyof typeof views];

/** Id of the walkthrough 'Get Started with PodRelay', without the extension's. */
export const walkthrough = 'start';

/** Context keys that we set; `when` clauses of the manifest read them. */
export const contextKeys = {
  /** 'listed' | 'notSetUp': which welcome text the empty Backends view shows. */
  backendsState: 'podrelay.backendsState',
  /** 'listed' | 'noKey' | 'none': which welcome text the empty Pods view shows. */
  podsState: 'podrelay.podsState',
  /** 'listed' | 'none': which welcome text the empty Jobs view shows. */
  jobsState: 'podrelay.jobsState',
  /** Nothing new is started from the queue. */
  queuePaused: 'podrelay.queuePaused',
  /** The log of a pod is followed. */
  podLogs: 'podrelay.podLogs',
  /** The demo runs in this window. */
  demo: 'podrelay.demo',
  /** The demo's local ComfyUI is switched on. */
  demoLocal: 'podrelay.demoLocal',
  /** The demo's RunPod works. */
  demoCloud: 'podrelay.demoCloud',
  /** Paths of the workflows that are on the screen. */
  workflows: 'podrelay.workflows',
  /** A job runs or waits. */
  running: 'podrelay.running',
  /** A job has run in this window. */
  hasLast: 'podrelay.hasLast',
} as const;
export type ContextKey = (typeof contextKeys)[keyof typeof contextKeys];

/** What a row says about itself to the manifest's menus. */
export const rowTokens = [
  'backend',
  'on',
  'switchedOff',
  'member',
  'only',
  'preferred',
  'browsable',
  'pod',
  'startable',
  'stoppable',
  'restartable',
  'terminable',
  'reachable',
  'spare',
  'fleet',
  'endpoints',
  'endpoint',
  'worker',
  'used',
  'unused',
  'waiting',
  'job',
  'cancellable',
  'retryable',
  'movable',
  'openable',
  'failed',
] as const;
export type RowToken = (typeof rowTokens)[number];

/** `;pod;running;owned;`, which menus match by `viewItem =~ /;running;/`. */
export function viewItem(...tokens: readonly (RowToken | undefined | false)[]): string {
  return `;${tokens.filter((token) => token !== undefined && token !== false).join(';')};`;
}
