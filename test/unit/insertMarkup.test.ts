import assert from 'node:assert/strict';
import path from 'node:path';
import fc from 'fast-check';
import { linkTo, mediaMarkup, spotAfter } from '../../src/ui/insert/mediaMarkup.ts';
import type { MarkupLanguage, ShownFile } from '../../src/ui/insert/mediaMarkup.ts';
import { afterEdits, findAgain } from '../../src/ui/insert/passage.ts';
import type { Edit } from '../../src/ui/insert/passage.ts';

const folder = path.resolve('/project/docs');
const picture: ShownFile = { path: path.resolve('/project/generated/a cat (1).png'), kind: 'image' };
const film: ShownFile = { path: path.resolve('/project/generated/film.mp4'), kind: 'video' };

describe('the markup of an output', () => {
  it('is an image with the prompt as its text, and a path from the document', () => {
    assert.equal(mediaMarkup('markdown', picture, 'a cat', folder), '![a cat](../generated/a%20cat%20%281%29.png)');
    assert.equal(
      mediaMarkup('html', picture, 'a cat', folder),
      '<img src="../generated/a%20cat%20%281%29.png" alt="a cat">',
    );
  });

  it('is a film in HTML and a link in Markdown, which shows none', () => {
    assert.equal(
      mediaMarkup('html', film, 'waves', folder),
      '<video controls src="../generated/film.mp4" aria-label="waves"></video>',
    );
    assert.equal(mediaMarkup('markdown', film, 'waves', folder), '[waves](../generated/film.mp4)');
  });

  it('shortens the prompt and escapes what would end it', () => {
    const alt = 'a [red] *cat* & "dog"\n\n  <b>';
    assert.equal(
      mediaMarkup('markdown', picture, alt, folder).replace(/\(.*/, ''),
      '![a \\[red\\] \\*cat\\* \\& "dog" \\<b\\>]',
    );
    assert.match(
      mediaMarkup('html', picture, alt, folder),
      /alt="a \[red\] \*cat\* &amp; &quot;dog&quot; &lt;b&gt;">$/,
    );
    assert.match(mediaMarkup('html', film, 'x'.repeat(500), folder), /aria-label="x{119}…"/);
    assert.match(
      mediaMarkup('markdown', picture, '   ', folder),
      /^!\[a cat \(1\)\]/,
      'the name where there is no prompt',
    );
  });

  it('has a whole address where there is no folder to begin from', () => {
    assert.match(linkTo(undefined, picture.path), /^file:\/\/\/.*generated\/a%20cat%20%281%29\.png$/);
  });

  it('never lets a name or a prompt out of its place', () => {
    const names = fc
      .string({ unit: 'grapheme', minLength: 1, maxLength: 20 })
      .filter((name) => !/[/\\\0]|^\.+$/.test(name));
    fc.assert(
      fc.property(names, fc.string({ unit: 'grapheme' }), (name, alt) => {
        const file: ShownFile = { path: path.join(folder, name), kind: 'image' };
        assert.match(mediaMarkup('html', file, alt, folder), /^<img src="[\w.~%/-]+" alt="[^"<>]*">$/);
        const shown = mediaMarkup('markdown', file, alt, folder);
        assert.match(shown, /^!\[(\\.|[^\\[\]`<>*_])*\]\([\w.~%/-]+\)$/s);
        assert.equal(path.join(folder, decodeURIComponent(/\(([^()]*)\)$/.exec(shown)?.[1] ?? '')), file.path);
      }),
    );
  });
});

describe('the place of an output', () => {
  const put = (language: MarkupLanguage, text: string, line: number, character: number): string => {
    const lines = text.split('\n');
    const spot = spotAfter(language, { line, character }, (at) => lines[at]);
    const now = lines[spot.line] ?? '';
    lines[spot.line] = `${now.slice(0, spot.character)}${spot.before}IMG${spot.after}${now.slice(spot.character)}`;
    return lines.join('\n');
  };

  it('is a paragraph of its own behind whole lines', () => {
    assert.equal(put('markdown', 'a cat\n\nmore', 0, 5), 'a cat\n\nIMG\n\nmore');
    assert.equal(put('markdown', 'a cat\nmore', 0, 5), 'a cat\n\nIMG\n\nmore');
    assert.equal(put('markdown', 'a cat\n', 1, 0), 'a cat\n\nIMG\n');
    assert.equal(put('markdown', 'a cat', 0, 5), 'a cat\n\nIMG');
    assert.equal(put('html', '  <p>a cat</p>\n', 0, 14), '  <p>a cat</p>\n  IMG\n');
  });

  it('is in the line behind a few words of it', () => {
    assert.equal(put('markdown', 'a cat sleeps', 0, 5), 'a cat IMG sleeps');
    assert.equal(put('html', '<p>a cat</p>', 0, 8), '<p>a cat IMG</p>');
  });
});

describe('a passage of a text that is edited meanwhile', () => {
  const passage = { start: 10, end: 20 };
  const edited = (...edits: Edit[]) => afterEdits(passage, edits);

  it('moves with what is written before it, and not with what is behind', () => {
    assert.deepEqual(edited({ offset: 0, removed: 2, added: 5 }), { start: 13, end: 23 });
    assert.deepEqual(edited({ offset: 10, removed: 0, added: 3 }), { start: 13, end: 23 });
    assert.deepEqual(edited({ offset: 20, removed: 0, added: 3 }), passage);
    assert.deepEqual(edited({ offset: 25, removed: 3, added: 0 }), passage);
  });

  it('grows with what is written in it', () => {
    assert.deepEqual(edited({ offset: 12, removed: 1, added: 4 }), { start: 10, end: 23 });
    assert.deepEqual(edited({ offset: 15, removed: 5, added: 0 }), { start: 10, end: 15 });
  });

  it('is gone when it is deleted, replaced or cut at an end', () => {
    assert.equal(edited({ offset: 10, removed: 10, added: 0 }), undefined);
    assert.equal(edited({ offset: 0, removed: 50, added: 50 }), undefined);
    assert.equal(edited({ offset: 5, removed: 10, added: 0 }), undefined);
    assert.equal(edited({ offset: 15, removed: 10, added: 0 }), undefined);
  });

  it('is where several edits of one moment leave it, whatever their order', () => {
    const before = { offset: 0, removed: 0, added: 5 };
    const within = { offset: 15, removed: 0, added: 1 };
    assert.deepEqual(edited(before, within), { start: 15, end: 26 });
    assert.deepEqual(edited(within, before), { start: 15, end: 26 });
  });

  it('keeps its text through any edits that do not touch it', () => {
    const text = 'before it [passage] and after it';
    const at = { start: 10, end: 19 };
    const edit = fc.record({ share: fc.nat(100), removed: fc.nat(8), words: fc.string({ maxLength: 8 }) });
    fc.assert(
      fc.property(fc.array(edit), (edits) => {
        let now = text;
        let place: { start: number; end: number } | undefined = at;
        for (const { share, removed: wanted, words } of edits) {
          if (place === undefined) break;
          const offset = Math.floor((share / 100) * now.length);
          const removed = Math.min(wanted, now.length - offset);
          if (offset < place.end && offset + removed > place.start) continue;
          if (offset > place.start && offset < place.end) continue;
          now = now.slice(0, offset) + words + now.slice(offset + removed);
          place = afterEdits(place, [{ offset, removed, added: words.length }]);
        }
        assert.equal(place && now.slice(place.start, place.end), '[passage]');
      }),
    );
  });

  it('is found again in a file that was closed: where it was, or where it is alone, and nowhere else', () => {
    assert.deepEqual(findAgain('0123 cat cat', 'cat', { start: 9, end: 12 }), { start: 9, end: 12 });
    assert.deepEqual(findAgain('a new line\ncat', 'cat', { start: 0, end: 3 }), { start: 11, end: 14 });
    assert.equal(findAgain('cat or cat', 'cat', { start: 2, end: 5 }), undefined);
    assert.equal(findAgain('a dog', 'cat', { start: 0, end: 3 }), undefined);
  });
});
