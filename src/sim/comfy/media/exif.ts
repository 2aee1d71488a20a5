const ASCII = 2;
const ENTRY_BYTES = 12;

/** An EXIF block of text tags, little-endian TIFF: how ComfyUI puts a graph into a WebP. */
export function encodeExif(tags: ReadonlyMap<number, string>): Buffer {
  const entries = [...tags].sort(([a], [b]) => a - b).map(([tag, text]) => ({ tag, text: Buffer.from(`${text}\0`) }));
  const head = Buffer.alloc(8 + 2 + entries.length * ENTRY_BYTES + 4);
  head.write('II*\0', 'latin1');
  head.writeUInt32LE(8, 4);
  head.writeUInt16LE(entries.length, 8);
  let at = head.length;
  entries.forEach(({ tag, text }, index) => {
    const entry = 10 + index * ENTRY_BYTES;
    head.writeUInt16LE(tag, entry);
    head.writeUInt16LE(ASCII, entry + 2);
    head.writeUInt32LE(text.length, entry + 4);
    // Texts of up to four bytes stand in the entry itself.
    if (text.length <= 4) text.copy(head, entry + 8);
    else {
      head.writeUInt32LE(at, entry + 8);
      at += text.length;
    }
  });
  return Buffer.concat([head, ...entries.filter(({ text }) => text.length > 4).map(({ text }) => text)]);
}
