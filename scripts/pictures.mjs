// Takes the README's pictures from the screenshots that the journeys have left in out/screenshots.
import { copyFileSync, mkdirSync } from 'node:fs';
import path from 'node:path';

const root = path.resolve(import.meta.dirname, '..');
const pictures = {
  'story-05-pod': 'story',
  'story-07-gemini-asks': 'gemini',
  'queue-03-runs': 'queue',
  'fleet-06-work-dark': 'fleet',
  views: 'views',
};
mkdirSync(path.join(root, 'media', 'readme'), { recursive: true });
for (const [shot, name] of Object.entries(pictures)) {
  copyFileSync(path.join(root, 'out', 'screenshots', `${shot}.png`), path.join(root, 'media', 'readme', `${name}.png`));
}
console.log(`media/readme has ${Object.values(pictures).join(', ')}: look at them before you commit.`);
