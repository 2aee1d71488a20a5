import type { JsonObject } from '../pyJson.ts';

/** `error` of a 400, and each of `node_errors[].errors` (comfyui.md 1.3). */
export interface PromptError extends JsonObject {
  type: string;
  message: string;
  details: string;
  extra_info: JsonObject;
}

export interface NodeErrors extends JsonObject {
  errors: PromptError[];
  dependent_outputs: string[];
  class_type: string;
}

/** What Python would answer with 500: the graph broke an assumption of the server's code. */
export class ServerTrouble extends Error {}

/** A Python exception inside the validation of one node: `str(ex)` and its type. */
export class ValidationCrash extends Error {
  readonly exceptionType: string;

  constructor(exceptionType: string, message: string) {
    super(message);
    this.exceptionType = exceptionType;
  }
}

export function promptError(type: string, message: string, details = '', extraInfo: JsonObject = {}): PromptError {
  return { type, message, details, extra_info: extraInfo };
}
