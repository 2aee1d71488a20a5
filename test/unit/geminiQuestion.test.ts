import assert from 'node:assert/strict';
import type { ConsentQuestion } from '../../src/core/gemini/consentQuestion.ts';
import { geminiQuestion } from '../../src/ui/jobs/geminiQuestion.ts';

const question: ConsentQuestion = {
  label: 'fox.json',
  media: 'image',
  count: 2,
  model: 'gemini-nano-banana-2.1',
  micros: 80_400,
  basis: '2 × picture at 1K',
  kept: ['Prompt'],
  approximated: ['Seed: sent'],
  lost: ['LoRA fur.safetensors'],
  images: ['fox.png'],
};

describe('the question before Gemini is paid', () => {
  it('names price, losses, what is kept, and the files that are sent', () => {
    const { message, detail } = geminiQuestion(question);
    assert.equal(message, 'Make 2 pictures with Google Gemini for about $0.08? (fox.json)');
    for (const part of [
      'Lost:\n• LoRA fur',
      'Only roughly:\n• Seed',
      'Kept:\n• Prompt',
      'fox.png',
      '2 × picture at 1K',
    ]) {
      assert.ok(detail.includes(part), part);
    }
  });

  it('is short where there is little to say, and counts what does not fit', () => {
    const bare = { ...question, count: 1, media: 'video', kept: [], approximated: [], images: [] } as const;
    const { message, detail } = geminiQuestion({ ...bare, lost: Array.from({ length: 11 }, (_, i) => `thing ${i}`) });
    assert.match(message, /^Make a video with/);
    assert.doesNotMatch(detail, /Kept|roughly|sent to Google/);
    assert.match(detail, /• thing 7\n• and 3 more/);
  });
});
