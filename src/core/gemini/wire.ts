import * as z from 'zod/mini';

/**
 * Google's shapes, as far as we read them: REST contract of the Gemini API v1beta. Whatever is not listed is ignored, and
 * words that Google may add to (statuses, reasons) are plain strings here.
 */
export const wireModel = z.object({
  name: z.string(),
  displayName: z.optional(z.string()),
});

const wirePart = z.object({
  /** A draft or a thought; never the result. */
  thought: z.optional(z.boolean()),
  text: z.optional(z.string()),
  inlineData: z.optional(z.object({ mimeType: z.string(), data: z.string() })),
});

const wireTokenDetails = z.array(z.object({ modality: z.string(), tokenCount: z.optional(z.number()) }));

export const wireImageReply = z.object({
  candidates: z.optional(
    z.array(
      z.object({
        content: z.optional(z.object({ parts: z.optional(z.array(wirePart)) })),
        finishReason: z.optional(z.string()),
        finishMessage: z.optional(z.string()),
      }),
    ),
  ),
  promptFeedback: z.optional(
    z.object({ blockReason: z.optional(z.string()), blockReasonMessage: z.optional(z.string()) }),
  ),
  usageMetadata: z.optional(
    z.object({
      promptTokenCount: z.optional(z.number()),
      candidatesTokenCount: z.optional(z.number()),
      thoughtsTokenCount: z.optional(z.number()),
      totalTokenCount: z.optional(z.number()),
      candidatesTokensDetails: z.optional(wireTokenDetails),
    }),
  ),
  modelVersion: z.optional(z.string()),
  responseId: z.optional(z.string()),
});

/** Loose, so that a shape we cannot read is kept whole for the log. */
export const wireInteraction = z.looseObject({
  id: z.string(),
  status: z.string(),
  steps: z.optional(
    z.array(
      z.looseObject({
        type: z.string(),
        content: z.optional(
          z.array(
            z.looseObject({
              type: z.string(),
              text: z.optional(z.string()),
              data: z.optional(z.string()),
              uri: z.optional(z.string()),
              mime_type: z.optional(z.string()),
            }),
          ),
        ),
      }),
    ),
  ),
  usage: z.optional(
    z.looseObject({
      total_input_tokens: z.optional(z.number()),
      total_output_tokens: z.optional(z.number()),
      total_thought_tokens: z.optional(z.number()),
      total_tokens: z.optional(z.number()),
      output_tokens_by_modality: z.optional(
        z.array(z.looseObject({ modality: z.string(), tokens: z.optional(z.number()) })),
      ),
    }),
  ),
  errors: z.optional(
    z.array(
      z.looseObject({
        code: z.optional(z.union([z.string(), z.number()])),
        message: z.optional(z.string()),
      }),
    ),
  ),
});

export const wireFile = z.object({
  name: z.string(),
  state: z.string(),
  mimeType: z.optional(z.string()),
  /** A number in a string, as protobuf's 64-bit numbers are. */
  sizeBytes: z.optional(z.string()),
  error: z.optional(z.object({ message: z.optional(z.string()) })),
});

/** All three envelopes: with a number, with a word, and the front end's, which is unwrapped from its array before. */
export const wireError = z.object({
  error: z.object({
    code: z.optional(z.union([z.number(), z.string()])),
    message: z.optional(z.string()),
    status: z.optional(z.string()),
    details: z.optional(z.array(z.looseObject({ '@type': z.optional(z.string()) }))),
  }),
});

export type WireImageReply = z.infer<typeof wireImageReply>;
export type WireInteraction = z.infer<typeof wireInteraction>;
export type WireFile = z.infer<typeof wireFile>;
