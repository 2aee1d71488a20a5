/** What a person is told before Gemini is paid for a job. */
export interface ConsentQuestion {
  /** The job's own. */
  readonly label: string;
  readonly media: 'image' | 'video';
  readonly count: number;
  readonly model: string;
  /** Expected price of all of it, in micro-dollars, with what the figure stands on. */
  readonly micros: number;
  readonly basis: string;
  readonly kept: readonly string[];
  readonly approximated: readonly string[];
  readonly lost: readonly string[];
  /** Names of the person's own files that are sent to Google. */
  readonly images: readonly string[];
}

/** Asks; false = no. Rejects with the signal's fault when that ends the question. */
export type Consent = (question: ConsentQuestion, signal: AbortSignal) => Promise<boolean>;
