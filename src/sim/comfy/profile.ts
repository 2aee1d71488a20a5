/** The three ComfyUI versions that the simulator can be. */
export type ComfyProfile = '0.3.64' | '0.8.0' | '0.33.0';

/** What differs between versions, as data (comfyui.md 8.2), so that no other module asks for a version by name. */
export interface ProfileTraits {
  profile: ComfyProfile;
  /** `/api/jobs`: absent, read only, or with cancelling */
  jobs: 'absent' | 'read' | 'cancel';
  /** A submitted `prompt_id` must be a canonical lower-case UUID. */
  canonicalPromptIds: boolean;
  unknownClassError: 'invalid_prompt' | 'missing_node_type';
  reportsCycles: boolean;
  /** A refused value of a list stands in quotes, whatever it is. */
  quotesRefusedValues: boolean;
  /** Lists in the newer form (`COMBO`) bind as those in the older one do. */
  checksNewLists: boolean;
  stampsCreateTime: boolean;
  /** Bug of 0.8.0: a cached run without `client_id` has no outputs in history (fixed by PR #14939). */
  losesCachedOutputsWithoutClient: boolean;
  refusesCrossSite: boolean;
  /** A graph that is a list answers 500 instead of `prompt_no_outputs`. */
  listPromptFails: boolean;
  perPromptPreviews: boolean;
  userdataTimesInMs: boolean;
  systemOs: string;
  featureKeys: 2 | 3 | 6;
  annotatesInternalFiles: boolean;
  hasAssetsRoutes: boolean;
  hasGlobalSubgraphs: boolean;
  hasNodeReplacements: boolean;
  attachesUserdata: boolean;
  packages: { frontend: string; templates: string };
}

const OLD: ProfileTraits = {
  profile: '0.3.64',
  jobs: 'absent',
  canonicalPromptIds: false,
  unknownClassError: 'invalid_prompt',
  reportsCycles: false,
  quotesRefusedValues: true,
  checksNewLists: false,
  stampsCreateTime: false,
  losesCachedOutputsWithoutClient: false,
  refusesCrossSite: false,
  listPromptFails: false,
  perPromptPreviews: false,
  userdataTimesInMs: false,
  systemOs: 'posix',
  featureKeys: 2,
  annotatesInternalFiles: false,
  hasAssetsRoutes: false,
  hasGlobalSubgraphs: false,
  hasNodeReplacements: false,
  attachesUserdata: false,
  packages: { frontend: '1.27.10', templates: '0.1.94' },
};

const MIDDLE: ProfileTraits = {
  ...OLD,
  profile: '0.8.0',
  checksNewLists: true,
  jobs: 'read',
  stampsCreateTime: true,
  losesCachedOutputsWithoutClient: true,
  perPromptPreviews: true,
  systemOs: 'linux',
  featureKeys: 3,
  hasGlobalSubgraphs: true,
  packages: { frontend: '1.35.9', templates: '0.7.67' },
};

const NEW: ProfileTraits = {
  ...MIDDLE,
  profile: '0.33.0',
  jobs: 'cancel',
  canonicalPromptIds: true,
  unknownClassError: 'missing_node_type',
  reportsCycles: true,
  quotesRefusedValues: false,
  losesCachedOutputsWithoutClient: false,
  refusesCrossSite: true,
  listPromptFails: true,
  userdataTimesInMs: true,
  featureKeys: 6,
  annotatesInternalFiles: true,
  hasAssetsRoutes: true,
  hasNodeReplacements: true,
  attachesUserdata: true,
  packages: { frontend: '1.49.6', templates: '0.11.44' },
};

const TRAITS: Record<ComfyProfile, ProfileTraits> = { '0.3.64': OLD, '0.8.0': MIDDLE, '0.33.0': NEW };

export function traitsOf(profile: ComfyProfile): ProfileTraits {
  return TRAITS[profile];
}
