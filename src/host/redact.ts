/** Shapes of keys: RunPod `rpa_`/`rps_`, Google `AIza`/`AQ.`, bearer headers, `?key=` (runpod.md 1.2, gemini.md 5). */
const patterns: readonly (readonly [RegExp, string])[] = [
  [/\b(rp[as]_)[A-Za-z0-9]{6,}/g, '$1…'],
  [/\bAIza[\w-]{10,}/g, 'AIza…'],
  [/\bAQ\.[\w.-]{10,}/g, 'AQ.…'],
  [/\b(Bearer\s+)[\w.~+/=-]{6,}/gi, '$1…'],
  [/([?&]key=)[^&\s"]+/gi, '$1…'],
  [/("?(?:x-goog-api-key|authorization)"?\s*[:=]\s*"?)[^"\s,}]+/gi, '$1…'],
];

export function redact(text: string): string {
  return patterns.reduce((clean, [pattern, by]) => clean.replace(pattern, by), text);
}
