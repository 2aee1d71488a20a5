import assert from 'node:assert/strict';
import path from 'node:path';
import fc from 'fast-check';
import { numberedName, sanitizeName, splitName } from '../../src/core/outputs/outputName.ts';

const traps = [
  '..',
  '.',
  '/',
  '\\',
  '../',
  '..\\',
  'CON',
  'nul',
  'COM1',
  'LPT¹',
  ' ',
  '\0',
  '\u202e',
  '\u200b',
  '.part',
  '.podrelay.json',
  '\uff0f',
  '\uff0e',
  '\u2025',
  ':',
  '*',
  'é',
  'e\u0301',
  '🎬',
  '\ud800',
  '.png',
  'a',
  '-',
  'x'.repeat(300),
];
const hostileName = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({ unit: 'grapheme' }),
  fc.array(fc.constantFrom(...traps), { maxLength: 8 }).map((parts) => parts.join('')),
);

describe('names of outputs', () => {
  const cases: readonly (readonly [string, string])[] = [
    ['ComfyUI_00001_.png', 'ComfyUI_00001_.png'],
    ['video/AnimateDiff_00001.webp', 'AnimateDiff_00001.webp'],
    ['../../.ssh/authorized_keys', 'authorized_keys'],
    ['..\\..\\windows\\system32\\x.dll', 'x.dll'],
    ['C:\\boot.ini', 'boot.ini'],
    ['C:boot.ini', 'C_boot.ini'],
    ['a.png/..', 'a.png'],
    ['..', 'output'],
    ['', 'output'],
    ['   ', 'output'],
    ['...', 'output'],
    ['.bashrc', 'bashrc'],
    ['-rf.png', 'rf.png'],
    ['cat.png. . ', 'cat.png'],
    ['CON', '_CON'],
    ['con.txt', '_con.txt'],
    ['Nul .tar.gz', '_Nul .tar.gz'],
    ['COM1.png', '_COM1.png'],
    ['LPT².png', '_LPT².png'],
    ['ＣＯＮ.png', '_ＣＯＮ.png'],
    ['COMIC.png', 'COMIC.png'],
    ['a\0b\x07\n.png', 'ab.png'],
    ['gpj\u202Egnp.exe', 'gpjgnp.exe'],
    ['what?<is>:this*|".png', 'what__is__this___.png'],
    ['a\uFF0F\uFF0E\uFF0E\uFF0Fb.png', 'b.png'],
    ['\u2025/x', 'x'],
    ['picture.png.podrelay.json', 'picture_png_podrelay_json'],
    ['picture.png.part', 'picture_png_part'],
    ['cafe\u0301.png', 'café.png'],
    ['猫の絵 🎬.webp', '猫の絵 🎬.webp'],
  ];
  for (const [sent, expected] of cases) {
    it(`makes ${JSON.stringify(expected)} of ${JSON.stringify(sent)}`, () => {
      assert.equal(sanitizeName(sent), expected);
    });
  }

  it('keeps the extension of an over-long name, and cuts no character in two', () => {
    const name = sanitizeName(`${'🎬'.repeat(200)}.png`);
    assert.ok(name.endsWith('🎬.png'));
    assert.ok(Buffer.byteLength(name) <= 160);
    assert.ok(name.isWellFormed());
  });

  it('numbers before the extension', () => {
    assert.equal(numberedName('cat.png', 1), 'cat.png');
    assert.equal(numberedName('cat.png', 2), 'cat-2.png');
    assert.equal(numberedName('cat', 12), 'cat-12');
    assert.deepEqual(splitName('a.b.png'), { stem: 'a.b', extension: '.png' });
    assert.deepEqual(splitName('a.not an extension'), { stem: 'a.not an extension', extension: '' });
  });

  it('never yields a name that means something else than a plain file here', () => {
    fc.assert(
      fc.property(hostileName, fc.integer({ min: 1, max: 9999 }), (sent, n) => {
        const name = numberedName(sanitizeName(sent), n);
        for (const style of [path.posix, path.win32]) {
          assert.equal(style.basename(name), name);
          const folder = style.resolve('/out');
          assert.equal(style.dirname(style.join(folder, name)), folder);
          assert.equal(style.isAbsolute(name), false);
        }
        assert.ok(name.length > 0 && Buffer.byteLength(name) <= 170);
        assert.doesNotMatch(name, /^[.\s-]|[.\s]$|[/\\:<>"|?*\p{Cc}\p{Cf}]/u);
        assert.doesNotMatch(name, /\.\./u);
        assert.doesNotMatch(name.normalize('NFKC'), /[/\\]|^\./u);
        assert.doesNotMatch(name, /^(?:con|prn|aux|nul|(?:com|lpt)[0-9¹²³])\s*(?:\.|$)/iu);
        assert.doesNotMatch(name, /\.(?:part|podrelay\.json)$/iu);
      }),
      { numRuns: 2000 },
    );
  });

  it('knows every character that a normalising file system makes dots of', () => {
    for (let code = 0x80; code <= 0x10ffff; code++) {
      const character = String.fromCodePoint(code);
      if (!character.isWellFormed() || !/^\.|[/\\]/u.test(character.normalize('NFKC'))) continue;
      const name = sanitizeName(`${character}${character}evil.png`).normalize('NFKC');
      assert.doesNotMatch(name, /^\.|[/\\]/u, `U+${code.toString(16)}`);
    }
  });

  it('changes nothing when applied twice', () => {
    fc.assert(
      fc.property(hostileName, (sent) => {
        const once = sanitizeName(sent);
        assert.equal(sanitizeName(once), once);
      }),
      { numRuns: 2000 },
    );
  });
});
