import { formatUsd } from '../../core/cost/price.ts';
import type { ConsentQuestion } from '../../core/gemini/consentQuestion.ts';

/** More than this is not read in a dialog; the rest is counted, and stamped on the result in full. */
const mostLines = 8;

/** The question as a dialog shows it: one sentence with the price, then what is kept and what is lost. */
export function geminiQuestion(question: ConsentQuestion): { readonly message: string; readonly detail: string } {
  const { label, media, count, model, micros, basis, kept, approximated, lost, images } = question;
  const what = media === 'image' ? 'picture' : 'video';
  const things = count === 1 ? `a ${what}` : `${count} ${what}s`;
  const parts = [
    'Gemini cannot run a ComfyUI workflow: it is another generator that gets the prompt.',
    ...listed('Lost', lost),
    ...listed('Only roughly', approximated),
    ...listed('Kept', kept),
    ...(images.length === 0 ? [] : [`These files of yours are sent to Google: ${images.join(', ')}.`]),
    `Price: ${basis}. Model: ${model}.`,
  ];
  return {
    message: `Make ${things} with Google Gemini for about ${formatUsd(micros)}? (${label})`,
    detail: parts.join('\n\n'),
  };
}

function listed(title: string, items: readonly string[]): readonly string[] {
  if (items.length === 0) return [];
  const shown = items.slice(0, mostLines).map((item) => `• ${item}`);
  const more = items.length - shown.length;
  return [[`${title}:`, ...shown, ...(more > 0 ? [`• and ${more} more`] : [])].join('\n')];
}
