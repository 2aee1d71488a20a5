import type { Quote } from '../backends/backend.ts';
import { meteredCost } from './geminiQuote.ts';
import type { GeminiRequest } from './geminiQuote.ts';
import type { GeminiUsage } from './price.ts';

export interface Charge {
  readonly micros: number;
  readonly basis: 'measured' | 'estimated';
}

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

  /**
   * After each picture or clip. What Google told counts; where it told nothing, what was made, or may have been made,
   * counts as estimated. Returns what was told.
   */
  settle(isMade: 'yes' | 'no' | 'maybe'): Quote | undefined {
    const told = this.#untold.splice(0).map((usage) => meteredCost(this.#kind, this.#model, usage));
    const isGuess = told.length === 0 && isMade !== 'no';
    const costs = isGuess ? [{ ...this.#estimate, basis: `estimated: ${this.#estimate.basis}` }] : told;
    this.#isEstimated ||= isGuess;
    for (const { micros, basis } of costs) {
      this.#micros += micros;
      this.#bases.add(basis);
    }
    return told[0];
  }

  get total(): Charge & { readonly costBasis: string } {
    const basis = this.#isEstimated ? 'estimated' : 'measured';
    return { micros: this.#micros, costBasis: [...this.#bases].join('; '), basis };
  }
}
