import type { CostKind, Quote } from '../backends/backend.ts';
import { meteredCost } from './geminiQuote.ts';
import type { GeminiRequest } from './geminiQuote.ts';
import type { GeminiUsage } from './price.ts';

/** What one run costs: metered where Google tells, estimated where it does not. */
export class RunCost {
  readonly #kind: GeminiRequest['kind'];
  readonly #model: string;
  readonly #estimate: Quote;
  readonly #untold: GeminiUsage[] = [];
  readonly #bases = new Set<string>();
  #micros = 0;
  #isEstimated = false;

  /** @param estimate of one picture or clip */
  constructor(kind: GeminiRequest['kind'], model: string, estimate: Quote) {
    this.#kind = kind;
    this.#model = model;
    this.#estimate = estimate;
  }

  /** Google has told what an answer was metered at. */
  readonly meter = (usage: GeminiUsage): void => void this.#untold.push(usage);

  /** After each picture or clip: what it cost; undefined = nothing was made, and nothing is told. */
  settle(isMade: boolean): Quote | undefined {
    const told = this.#untold.splice(0).map((usage) => meteredCost(this.#kind, this.#model, usage));
    const isGuess = told.length === 0 && isMade;
    const costs = isGuess ? [{ ...this.#estimate, basis: `estimated: ${this.#estimate.basis}` }] : told;
    this.#isEstimated ||= isGuess;
    for (const { micros, basis } of costs) {
      this.#micros += micros;
      this.#bases.add(basis);
    }
    return costs[0];
  }

  get total(): { readonly micros: number; readonly costBasis: string; readonly basis: CostKind } {
    const basis = this.#isEstimated ? 'estimated' : 'measured';
    return { micros: this.#micros, costBasis: [...this.#bases].join('; '), basis };
  }
}
