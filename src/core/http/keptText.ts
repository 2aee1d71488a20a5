/** A value of `env` to its end or to where the text was cut: strings are taken whole, since braces may stand in them. */
const env = /("env"\s*:\s*[{[])(?:"(?:[^"\\]|\\.)*"?|[^"\]}]|\}\s*,\s*\{)+/gs;
/** The same within a string of JSON. */
const escapedEnv = /(\\"env\\"\s*:\s*[{[])(?:\\"(?:[^"\\]|\\\\(?:\\.|[^\\]))*(?:\\")?|[^"\\\]}]|\}\s*,\s*\{)+/gs;
const mostKept = 4_000;

/** What of a reply may be kept for the log: its beginning, without the environment of pods, which RunPod sends in clear. */
export function keptText(text: string): string {
  return text.slice(0, mostKept).replace(env, '$1…').replace(escapedEnv, '$1…');
}
