/**
 * A file name that a server sent is data: it decides what a file is called inside the output folder, never where it
 * lands, and it never becomes a name that some file system or shell treats specially.
 */

/** Room for '-9999', '.part' and '.podrelay.json' under the 255 bytes that most file systems allow. */
const longestNameBytes = 160;
const longestExtensionBytes = 16;
const fallbackName = 'output';

/** '/' and '\' and what looks like them, or becomes them when a file system normalises names. */
const separators = /[/\\\u2044\u2215\u2216\u29F5\u29F8\u29F9\uFE68\uFF0F\uFF3C]/u;
/** Controls, characters that show nothing or turn the text around, private use, lone surrogates, unassigned. */
const invisible = /[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Cn}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\uFFFD]/gu;
/** What Windows forbids (':' also opens an NTFS stream), its full-width twins, and signs that normalise to 'a/c'. */
const forbidden = /[<>:"|?*\u2100\u2101\u2105\u2106\uFF1A\uFF1C\uFF1E\uFF02\uFF5C\uFF1F\uFF0A]/gu;
/** Dots in other clothes: compatibility normalisation makes '.' of them. */
const dotTwins = /[\u2024\u2025\u2026\uFE19\uFE30\uFE52\uFF0E]/gu;
/** Windows docs, 'Naming Files': reserved with any extension and in any case. Superscript digits count. */
const deviceName = /^(?:con|prn|aux|nul|conin\$|conout\$|clock\$|(?:com|lpt)[0-9¹²³])$/iu;
/** Suffixes that mean something to us: a server must not make a file that we read as our own. */
const ownSuffix = /\.(?:part|podrelay\.json)$/iu;

/** A name for one file in one folder. Idempotent; at most 160 bytes of UTF-8; never empty. */
export function sanitizeName(serverName: string): string {
  const last = serverName
    .normalize('NFC')
    .split(separators)
    .findLast((segment) => !/^[.\s]*$/u.test(segment));
  const plain = (last ?? '')
    .replace(invisible, '')
    .normalize('NFC')
    .replace(dotTwins, '.')
    .replace(forbidden, '_')
    .replace(/\.{2,}/gu, '.')
    .replace(/\s+/gu, ' ');
  let name = shorten(trimEnds(plain));
  if (ownSuffix.test(name)) name = name.replace(/\./gu, '_');
  if (deviceName.test(stemToFirstDot(name))) name = shorten(`_${name}`);
  return name === '' ? fallbackName : name;
}

/** The nth name to try for a wanted one: 1 is the name itself, then 'name-2.png', 'name-3.png'. */
export function numberedName(name: string, n: number): string {
  if (n <= 1) return name;
  const { stem, extension } = splitName(name);
  return `${stem}-${String(n)}${extension}`;
}

/** 'a.b.png' is stem 'a.b' and extension '.png'; an over-long or odd ending is no extension. */
export function splitName(name: string): { readonly stem: string; readonly extension: string } {
  const dot = name.lastIndexOf('.');
  const extension = dot > 0 ? name.slice(dot) : '';
  if (!/^\.[\p{L}\p{N}_-]+$/u.test(extension) || Buffer.byteLength(extension) > longestExtensionBytes) {
    return { stem: name, extension: '' };
  }
  return { stem: name.slice(0, dot), extension };
}

/** No leading dot (hidden, '..'), no leading dash (read as an option), no trailing dot or space (Windows drops them). */
function trimEnds(name: string): string {
  return name.replace(/^[.\s-]+/u, '').replace(/[.\s]+$/u, '');
}

/** Windows drops spaces before the dot, and folds twins: 'CON .txt' and 'ＣＯＮ' are devices as well. */
function stemToFirstDot(name: string): string {
  const stem = (name.split('.', 1)[0] ?? '').trim();
  return deviceName.test(stem) ? stem : stem.normalize('NFKC').trim();
}

function shorten(name: string): string {
  if (Buffer.byteLength(name) <= longestNameBytes) return name;
  const { stem, extension } = splitName(name);
  const room = longestNameBytes - Buffer.byteLength(extension);
  let kept = '';
  let bytes = 0;
  for (const character of stem) {
    bytes += Buffer.byteLength(character);
    if (bytes > room) break;
    kept += character;
  }
  return `${trimEnds(kept)}${extension}`;
}
