import { leftMicros, spentShare } from '../../src/core/cost/budget.ts';
import type { BudgetUse } from '../../src/core/cost/budget.ts';
import { podTimeMicros } from '../../src/core/cost/price.ts';
import type { FleetChange, PodPhase, QueuedWork } from '../../src/core/fleet/fleetScene.ts';
import { diskMicrosPerHour } from '../../src/core/fleet/podCost.ts';
import { diskHours } from '../../src/core/fleet/fleetPolicy.ts';
import { Reconciler } from '../../src/core/fleet/reconciler.ts';
import type { FleetEvent, ObservedScene } from '../../src/core/fleet/reconciler.ts';
import { Fault } from '../../src/core/kernel/fault.ts';
import { known, unknown } from '../../src/core/kernel/observed.ts';
import { dispatch } from '../../src/core/queue/dispatch.ts';
import type { WaitingJob, Worker } from '../../src/core/queue/dispatch.ts';
import { predict, readRuns, remainingSeconds } from '../../src/core/queue/measurements.ts';
import type { MeasuredRun, SpeedBook } from '../../src/core/queue/measurements.ts';
import { inStock, keyOf, priceMicros, within } from './market.ts';
import type { Offer } from './market.ts';
import { Boots } from './boots.ts';
import { become, bill, disk, newMachine } from './machine.ts';
import type { Job, Machine } from './machine.ts';
import { Promises } from './promises.ts';
import { Random } from './random.ts';
import type { Outcome, Setup } from './setup.ts';
import { hourMs } from './traces.ts';
import type { Arrival } from './traces.ts';
import { podOf, workerOf } from './views.ts';
import { VirtualClock } from './virtualClock.ts';

const depth = 2;
const apiMs = 2_000;
const quiet = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: (...told: unknown[]) => {
    throw new Error(told.map(String).join(' '));
  },
};

/** Plays one trace through the real plan, reconciler, dispatcher, measurements and prices, on a virtual clock. */
export async function simulate(setup: Setup, untilMs: number): Promise<Outcome> {
  const world = new FleetWorld(setup);
  return world.play(untilMs);
}

class FleetWorld {
  readonly #setup: Setup;
  readonly #clock = new VirtualClock();
  readonly #random: Random;
  readonly #machines: Machine[] = [];
  readonly #waiting: Job[] = [];
  readonly #jobs: Job[] = [];
  readonly #runs: MeasuredRun[] = [];
  readonly #boots: Boots;
  readonly #gaps: number[] = [];
  readonly #events: FleetEvent[] = [];
  readonly #promises: Promises;
  readonly #reconciler: Reconciler;
  #book: SpeedBook = readRuns([], 0);
  /** By fingerprint; of this book. */
  readonly #predicted = new Map<string, Pick<QueuedWork, 'seconds' | 'otherSeconds' | 'unmeasured'>>();
  #emptySinceMs: number | undefined;
  #knewPods = false;
  /** With work when the fleet was looked at last. */
  #seenBusy: ReadonlySet<string> = new Set();
  #launches = 0;
  #stops = 0;
  #looks = 0;

  constructor(setup: Setup) {
    this.#setup = setup;
    this.#promises = new Promises(setup.policy);
    this.#random = new Random(setup.seed);
    this.#boots = new Boots(setup.weather);
    this.#runs.push(...(setup.knownRuns ?? []));
    this.#book = readRuns(this.#runs, 0);
    for (const offer of setup.podsAtStart ?? []) this.#addMachine(offer, 'ours', 'ready');
    for (let index = 0; index < (setup.foreignPods ?? 0); index++) {
      this.#addMachine(setup.offers.at(-1)!, 'foreign', index % 2 === 0 ? 'ready' : 'stopped');
    }
    for (const { gpu, speed } of setup.home ?? []) {
      const offer: Offer = { gpu, speed, cloud: 'SECURE', usdPerHour: 0, bootSeconds: { first: 0, again: 0 } };
      this.#addMachine(offer, 'home', 'ready');
    }
    const ports = {
      observe: async () => this.#observe(),
      carryOut: (change: FleetChange, signal: AbortSignal) => this.#carryOut(change, signal),
    };
    this.#reconciler = new Reconciler({ ports, clock: this.#clock, log: quiet });
    this.#reconciler.onDidAct((event) => this.#events.push(event));
  }

  async play(untilMs: number): Promise<Outcome> {
    for (const [index, arrival] of this.#setup.arrivals.entries()) {
      this.#clock.at(arrival.atMs, () => this.#arrive(arrival, index));
    }
    if (this.#setup.policy.warmPods > 0 || this.#setup.policy.rule.by === 'fixed') this.#reconciler.wake();
    const total = this.#setup.arrivals.length;
    // To the end of the asked time; beyond it only as long as jobs are left.
    await this.#clock.run(untilMs);
    await this.#clock.run(untilMs * 2, () => this.#jobs.every((job) => job.endedMs !== undefined));
    // What idles then is stopped within the hour; what is always on would only cost more.
    const { warmPods, rule } = this.#setup.policy;
    if (warmPods === 0 && rule.by !== 'fixed') await this.#clock.run(this.#clock.now() + hourMs);
    this.#reconciler.dispose();
    for (const machine of this.#machines) this.#bill(machine);
    const ours = this.#machines.filter(({ kind }) => kind === 'ours');
    const ended = this.#jobs.filter((job) => job.endedMs !== undefined);
    return {
      jobs: total,
      ended: ended.length,
      waits: this.#jobs.map((job) => ((job.firstStartMs ?? this.#clock.now()) - job.arrival.atMs) / 1_000),
      makespanSeconds:
        (Math.max(0, ...ended.map((job) => job.endedMs ?? 0)) - (this.#setup.arrivals[0]?.atMs ?? 0)) / 1_000,
      gpuMicros: ours.reduce((sum, { gpuMicros }) => sum + gpuMicros, 0),
      diskMicros: ours.reduce((sum, { diskMicros }) => sum + diskMicros, 0),
      launches: this.#launches,
      stops: this.#stops,
      mostPods: this.#promises.mostPods,
      boots: this.#boots.all,
      events: this.#events,
      violations: this.#promises.broken,
      looks: this.#looks,
    };
  }

  #arrive(arrival: Arrival, order: number): void {
    const nowMs = this.#clock.now();
    if (this.#emptySinceMs !== undefined) this.#gaps.push((nowMs - this.#emptySinceMs) / 1_000);
    this.#emptySinceMs = undefined;
    const job: Job = {
      id: `job-${order}`,
      arrival,
      order,
      sinceMs: nowMs,
      firstStartMs: undefined,
      endedMs: undefined,
      excluded: new Map(),
    };
    this.#jobs.push(job);
    this.#queue(job);
  }

  #queue(job: Job): void {
    job.sinceMs = this.#clock.now();
    this.#promises.noteWork(job.sinceMs);
    this.#waiting.push(job);
    this.#pump();
    this.#reconciler.wake();
  }

  /** Hands out what the dispatcher gives. */
  #pump(): void {
    const workers = this.#machines.flatMap((machine) => this.#worker(machine));
    if (this.#waiting.length === 0 || workers.length === 0) return;
    const jobs = this.#waiting.map((job): WaitingJob => {
      const { id, order, arrival, excluded } = job;
      return { id, priority: 0, order, fingerprint: arrival.fingerprint, models: [arrival.fingerprint], excluded };
    });
    const policy = this.#setup.dispatchPolicy ?? { strategy: 'fastest', secondsPerUsd: 0 };
    const { assignments } = dispatch({ jobs, workers, book: this.#book, policy });
    for (const { jobId, workerId } of assignments) {
      const machine = this.#machines.find(({ id }) => id === workerId)!;
      const [job] = this.#waiting.splice(
        this.#waiting.findIndex(({ id }) => id === jobId),
        1,
      );
      if (machine.phase !== 'ready') this.#promises.note(`${jobId} was given to ${workerId}, which is not ready`);
      machine.bound.push(job!);
      if (machine.bound.length > depth) this.#promises.note(`${workerId} was given more than ${depth} jobs`);
      machine.idleSinceMs = undefined;
      if (machine.bound.length === 1) this.#runNext(machine);
    }
  }

  #worker(machine: Machine): readonly Worker[] {
    const budget = machine.kind === 'ours' ? this.#budget() : undefined;
    const isSpent = budget !== undefined && leftMicros(budget) <= 0;
    const secondsAhead = this.#busySeconds(machine) + this.#boots.left(machine, this.#clock.now());
    return workerOf(machine, depth, secondsAhead, isSpent ? 'The budget is spent' : undefined);
  }

  #runNext(machine: Machine): void {
    const job = machine.bound[0];
    const nowMs = this.#clock.now();
    if (job === undefined) {
      machine.idleSinceMs = nowMs;
      return;
    }
    job.firstStartMs ??= nowMs;
    machine.runFromMs = nowMs;
    const noise = this.#setup.noise ?? 0.1;
    const seconds = (job.arrival.work / machine.offer.speed) * this.#random.between(1 - noise, 1 + noise);
    const { life } = machine;
    const dies = machine.kind === 'ours' && this.#random.chance(this.#setup.weather.deathShare);
    this.#clock.at(nowMs + seconds * (dies ? 500 : 1_000), () => {
      if (machine.life !== life) return;
      if (dies) this.#die(machine);
      else this.#end(machine, job, seconds);
    });
  }

  #end(machine: Machine, job: Job, seconds: number): void {
    const nowMs = this.#clock.now();
    machine.bound.shift();
    job.endedMs = nowMs;
    this.#runs.push({ fingerprint: job.arrival.fingerprint, gpu: machine.offer.gpu, seconds, atMs: nowMs });
    if (this.#runs.length > 300) this.#runs.splice(0, 100);
    this.#book = readRuns(this.#runs, nowMs);
    this.#predicted.clear();
    this.#runNext(machine);
    this.#pump();
    if (this.#waiting.length === 0 && this.#machines.every(({ bound }) => bound.length === 0))
      this.#emptySinceMs = nowMs;
    this.#reconciler.wake();
  }

  #die(machine: Machine): void {
    const lost = machine.bound.splice(0);
    this.#become(machine, 'failed');
    // A failed container bills until someone ends it; here a person does at once.
    this.#bill(machine);
    machine.phase = 'gone';
    for (const job of lost) this.#queue(job);
    this.#reconciler.wake();
  }

  #observe(): ObservedScene {
    const nowMs = this.#clock.now();
    const { weather, policy, offers } = this.#setup;
    this.#looks += 1;
    this.#knewPods = !within(weather.outages, nowMs);
    this.#seenBusy = new Set(this.#machines.filter(({ bound }) => bound.length > 0).map(({ id }) => id));
    const fault = new Fault('unreachable', 'RunPod does not answer');
    const budget = this.#budget();
    return {
      pods: this.#knewPods
        ? known(
            this.#machines.flatMap((machine) => podOf(machine, this.#boots, this.#book, this.#busySeconds(machine))),
            nowMs,
          )
        : unknown(nowMs, fault),
      waiting: this.#waiting.map((job) => this.#asWork(job)),
      elsewhere: this.#machines
        .filter(({ kind }) => kind === 'home')
        .map((machine) => ({ gpu: machine.offer.gpu, busySeconds: this.#busySeconds(machine) })),
      candidates: this.#knewPods
        ? known(
            offers.map((offer) => ({
              key: keyOf(offer),
              gpu: offer.gpu,
              cloud: offer.cloud,
              usdPerHourMicros: priceMicros(offer, weather, nowMs),
              // The catalogue lags: a drought is told an hour after it began.
              stock: inStock(offer, weather, nowMs - 3_600_000) || inStock(offer, weather, nowMs) ? 'HIGH' : 'NONE',
              bootSeconds: this.#boots.ofNew(offer),
              diskMicros: diskHours * diskMicrosPerHour({ status: 'EXITED', ...disk }),
            })),
            nowMs,
          )
        : unknown(nowMs, fault),
      policy,
      budget: {
        remainingMicros: budget === undefined ? undefined : leftMicros(budget),
        usedShare: budget === undefined ? 0 : spentShare(budget),
      },
      gapsSeconds: this.#gaps.slice(-20),
    };
  }

  #asWork(job: Job): QueuedWork {
    const { fingerprint } = job.arrival;
    let predicted = this.#predicted.get(fingerprint);
    if (predicted === undefined) {
      const gpus = [...this.#setup.offers, ...this.#machines.map(({ offer }) => offer)].map(({ gpu }) => gpu);
      const on = (gpu: string): number => predict(this.#book, fingerprint, gpu).seconds;
      const { seconds: otherSeconds, basis } = predict(this.#book, fingerprint, 'unlisted');
      const seconds = Object.fromEntries(gpus.map((gpu) => [gpu, on(gpu)]));
      predicted = { seconds, otherSeconds, unmeasured: basis === 'assumed' };
      this.#predicted.set(fingerprint, predicted);
    }
    return { id: job.id, sinceMs: job.sinceMs, ...predicted, onPods: true, onElsewhere: true };
  }

  async #carryOut(change: FleetChange, signal: AbortSignal): Promise<void> {
    const { weather } = this.#setup;
    if (!this.#knewPods) this.#promises.note(`${change.do} while the pods were unknown`);
    await this.#clock.sleep(apiMs, signal);
    if (within(weather.outages, this.#clock.now()))
      throw new Fault('unreachable', 'RunPod does not answer', { delivered: 'no' });
    if (change.do === 'stop' || change.do === 'move')
      this.#stop(change.podId, change.do === 'stop' ? change.cause : 'zeroGpu');
    if (change.do === 'start') this.#start(change.podId);
    if (change.do === 'create' || change.do === 'move') this.#create(change.candidates);
  }

  #stop(podId: string, cause: string): void {
    const machine = this.#machines.find(({ id }) => id === podId)!;
    if (machine.kind !== 'ours') this.#promises.note(`${podId} is not ours, and was stopped`);
    if (this.#seenBusy.has(podId)) this.#promises.note(`${podId} was to be stopped with work in flight`);
    // The dispatcher may have been quicker: then there is nothing to stop.
    if (machine.bound.length > 0) throw new Fault('rejected', `${podId} has work again`);
    if (cause === 'idle') this.#promises.noteIdleStop(this.#clock.now() - apiMs, machine.offer.gpu);
    this.#stops += 1;
    this.#become(machine, 'stopped');
  }

  #start(podId: string): void {
    const machine = this.#machines.find(({ id }) => id === podId)!;
    if (machine.kind !== 'ours') this.#promises.note(`${podId} is not ours, and was started`);
    if (machine.phase !== 'stopped') this.#promises.note(`${podId} was started though it is ${machine.phase}`);
    const { weather } = this.#setup;
    if (!inStock(machine.offer, weather, this.#clock.now()) || this.#random.chance(weather.refusedShare)) {
      throw new Fault('noCapacity', 'There are not enough free GPUs on the host machine', { delivered: 'no' });
    }
    this.#promises.checkFlapping(machine.offer.gpu, this.#clock.now());
    this.#launches += 1;
    if (this.#random.chance(weather.zeroGpuShare)) this.#become(machine, 'zeroGpu');
    else this.#boot(machine, machine.offer.bootSeconds.again);
    this.#promises.checkCaps(this.#machines);
  }

  /** A pod that turns out dearer than planned is stopped at once, as a deploy does: it counts as not to be had. */
  #create(candidates: readonly { readonly key: string; readonly usdPerHourMicros: number }[]): void {
    const { offers, weather } = this.#setup;
    const nowMs = this.#clock.now();
    const offer = candidates
      .filter(({ key, usdPerHourMicros }) => {
        const one = offers.find((other) => keyOf(other) === key)!;
        return inStock(one, weather, nowMs) && priceMicros(one, weather, nowMs) <= usdPerHourMicros;
      })
      .map(({ key }) => offers.find((one) => keyOf(one) === key)!)[0];
    if (offer === undefined) throw new Fault('noCapacity', 'No free GPU', { delivered: 'no' });
    this.#promises.checkFlapping(offer.gpu, this.#clock.now());
    this.#launches += 1;
    this.#boot(this.#addMachine(offer, 'ours', 'stopped'), offer.bootSeconds.first);
    this.#promises.checkCaps(this.#machines);
  }

  #addMachine(offer: Offer, kind: Machine['kind'], phase: PodPhase): Machine {
    const nowMs = this.#clock.now();
    const id = `${kind}-${this.#machines.length}`;
    const usdPerHourMicros = kind === 'home' ? 0 : priceMicros(offer, this.#setup.weather, nowMs);
    const machine = newMachine({ id, offer, kind, phase, usdPerHourMicros }, nowMs);
    this.#machines.push(machine);
    return machine;
  }

  #boot(machine: Machine, usualSeconds: number): void {
    const fresh = usualSeconds === machine.offer.bootSeconds.first;
    this.#become(machine, 'booting');
    machine.bootSeconds = usualSeconds * this.#random.between(0.85, this.#setup.weather.slowBoot);
    const { life, bootSeconds } = machine;
    this.#clock.at(this.#clock.now() + bootSeconds * 1_000, () => {
      if (machine.life !== life) return;
      this.#boots.note(machine.offer, fresh, bootSeconds);
      this.#bill(machine);
      machine.phase = 'ready';
      machine.sinceMs = this.#clock.now();
      machine.idleSinceMs = this.#clock.now();
      this.#pump();
      this.#reconciler.wake();
    });
  }

  #become(machine: Machine, phase: PodPhase): void {
    become(machine, phase, this.#clock.now());
  }

  #bill(machine: Machine): void {
    bill(machine, this.#clock.now());
  }

  /** By the product's own arithmetic: spent, and held for what runs. */
  #budget(): BudgetUse | undefined {
    const limitMicros = this.#setup.budgetMicros;
    if (limitMicros === undefined) return undefined;
    let spentMicros = 0;
    let heldMicros = 0;
    for (const machine of this.#machines) {
      if (machine.kind !== 'ours') continue;
      this.#bill(machine);
      spentMicros += machine.gpuMicros;
      heldMicros += podTimeMicros(machine.usdPerHourMicros, this.#busySeconds(machine) * 1_000);
    }
    return { name: 'day', limitMicros, spentMicros, heldMicros };
  }

  #busySeconds(machine: Machine): number {
    return machine.bound.reduce((sum, job, index) => {
      const { seconds } = predict(this.#book, job.arrival.fingerprint, machine.offer.gpu);
      const elapsed = index === 0 ? (this.#clock.now() - machine.runFromMs) / 1_000 : 0;
      return sum + remainingSeconds(seconds, elapsed);
    }, 0);
  }
}
