/** All in ms; what each bounds is told where it is used: PodActionDeps, DeployDeps. */
export interface PodTimings {
  readonly pollMs: number;
  readonly confirmMs: number;
  readonly visibleWithinMs: number;
  readonly adoptWithinMs: number;
}

export const defaultPodTimings: PodTimings = {
  pollMs: 3_000,
  confirmMs: 60_000,
  visibleWithinMs: 180_000,
  adoptWithinMs: 30_000,
};
