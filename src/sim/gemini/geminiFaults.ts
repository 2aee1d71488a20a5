export type GeminiRoute =
  | 'models.list'
  | 'models.get'
  | 'image'
  | 'video.create'
  | 'video.get'
  | 'video.cancel'
  | 'video.delete'
  | 'files.get'
  | 'files.download'
  | 'storage'
  | 'unknown';

/** What happens to a request instead of, or to, its normal answer. All of it is plain JSON. */
export type GeminiEffect =
  /** Answers this. `body` is sent as JSON, `text` as it is. `effected` = the work is done (and billed) all the same. */
  | {
      readonly do: 'reply';
      readonly status: number;
      readonly body?: unknown;
      readonly text?: string;
      /** Bytes in base64, for bodies that are no text. */
      readonly base64?: string;
      readonly contentType?: string;
      readonly headers?: Readonly<Record<string, string>>;
      readonly effected?: boolean;
    }
  /** Destroys the socket; everything but 'beforeWork' does the work first. */
  | { readonly do: 'cut'; readonly at: 'beforeWork' | 'beforeHeaders' | 'afterHeaders' | 'halfBody' }
  /** Never answers. The work is done. */
  | { readonly do: 'hang' }
  /** Sends the normal body in pieces, `everyMs` of simulated time apart. */
  | { readonly do: 'trickle'; readonly pieces: number; readonly everyMs: number }
  /** Sends half of the normal body as if it were all of it. */
  | { readonly do: 'truncate' }
  | { readonly do: 'contentType'; readonly value: string };

export interface GeminiScripted {
  readonly on: GeminiRoute;
  readonly effect: GeminiEffect;
  /** Requests left to which it happens; absent = every one. */
  times?: number;
}

/** How the simulator behaves; every field may be set at any time. Durations are ms of simulated time. */
export interface GeminiFaults {
  /** Before any answer */
  latencyMs: number;
  imageMs: number;
  jobMs: number;
  fileProcessingMs: number;
  /** Files disappear after this (Gemini API docs, files: 48 h). */
  fileLifeMs: number;
  /** The first that fits a request happens to it. */
  script: GeminiScripted[];
  /** v1 refuses the newer image fields (js-genai issue 1322). */
  v1Strict: boolean;
  /** Which calls the key is no longer good for. */
  revoked: 'nothing' | 'paid' | 'everything';
  /** Status with which generateContent refuses an Omni model; projects saw both. */
  omniRefusalStatus: 400 | 404;
  image: GeminiImageFaults;
  video: GeminiVideoFaults;
  file: GeminiFileFaults;
}

export interface GeminiImageFaults {
  /** A draft marked as thought before the picture. */
  draft: boolean;
  /** Pictures in the answer; the API promises one. */
  pictures: number;
  textFirst: boolean;
  format: 'image/png' | 'image/jpeg';
  outcome:
    | { readonly is: 'picture' }
    | { readonly is: 'promptBlocked'; readonly reason: string }
    | { readonly is: 'finish'; readonly reason: string; readonly message?: string }
    | { readonly is: 'textOnly'; readonly text: string }
    | { readonly is: 'noCandidates' };
  /** The same request with the same seed gives the same bytes; the API promises nothing of the kind. */
  repeatable: boolean;
  /** Added to each picture, for large bodies. */
  paddingBytes: number;
}

export interface GeminiVideoFaults {
  outcome:
    | { readonly is: 'video' }
    /** Completed, words only, no video tokens: how a safety refusal looks. */
    | { readonly is: 'refusal'; readonly text: string }
    /** Completed and billed, but with no video where one is expected. */
    | { readonly is: 'unparsed' }
    | { readonly is: 'status'; readonly status: string; readonly code?: string; readonly message?: string };
  /** The first polls that answer 'queued'. */
  queuedPolls: number;
  /** A GET gives bytes in spite of delivery "uri" (Gemini API docs, omni). */
  getReturnsInline: boolean;
  /** Steps around the video. */
  steps: 'plain' | 'thoughtFirst' | 'outputNotLast' | 'twoOutputs';
  /** Added to each clip, for large downloads. */
  paddingBytes: number;
}

export interface GeminiFileFaults {
  outcome: 'ACTIVE' | 'FAILED' | 'stuck';
  /** An origin to which downloads are redirected, e.g. "http://127.0.0.1:4001"; null = served directly. */
  redirectTo: string | null;
  /** Begins the addresses in answers, e.g. "http://127.0.0.1:4001/gemini"; null = the origin the request came to. */
  uriBase: string | null;
}

export function defaultGeminiFaults(): GeminiFaults {
  return {
    latencyMs: 60,
    imageMs: 9_000,
    jobMs: 24_000,
    fileProcessingMs: 4_000,
    fileLifeMs: 48 * 3_600_000,
    script: [],
    v1Strict: false,
    revoked: 'nothing',
    omniRefusalStatus: 400,
    image: {
      draft: false,
      pictures: 1,
      textFirst: false,
      format: 'image/png',
      outcome: { is: 'picture' },
      repeatable: false,
      paddingBytes: 0,
    },
    video: {
      outcome: { is: 'video' },
      queuedPolls: 0,
      getReturnsInline: false,
      steps: 'thoughtFirst',
      paddingBytes: 0,
    },
    file: { outcome: 'ACTIVE', redirectTo: null, uriBase: null },
  };
}
