/** The facts that a player or probe reads out of a clip. */
export interface ClipShape {
  readonly width: number;
  readonly height: number;
  readonly seconds: number;
  readonly paddingBytes: number;
}

const framesPerSecond = 24;
const audioRate = 48_000;
const audioFrame = 1_024;

/**
 * An MP4 whose structure is real (ftyp, moov with a 24 fps video track and an audio track, mdat) and whose samples are
 * empty: enough for a probe, nothing to watch.
 */
export function fakeMp4(shape: ClipShape): Buffer {
  const ftyp = box('ftyp', ascii('isom'), u32(512), ascii('isomiso2avc1mp41'));
  const frames = Math.round(shape.seconds * framesPerSecond);
  const packets = Math.ceil((shape.seconds * audioRate) / audioFrame);
  const sampleBytes = 16;
  const media = Buffer.alloc((frames + packets) * sampleBytes + shape.paddingBytes);
  const build = (mediaAt: number): Buffer =>
    box(
      'moov',
      box(
        'mvhd',
        u32(0, 0, 0, 1_000, Math.round(shape.seconds * 1_000), 0x10000),
        u16(0x100, 0),
        zeros(8),
        matrix(),
        zeros(24),
        u32(3),
      ),
      track({
        id: 1,
        seconds: shape.seconds,
        volume: 0,
        width: shape.width,
        height: shape.height,
        timescale: framesPerSecond,
        handler: 'vide',
        header: box('vmhd', u32(1), zeros(8)),
        entry: videoEntry(shape.width, shape.height),
        samples: frames,
        delta: 1,
        sampleBytes,
        offset: mediaAt,
      }),
      track({
        id: 2,
        seconds: shape.seconds,
        volume: 0x100,
        width: 0,
        height: 0,
        timescale: audioRate,
        handler: 'soun',
        header: box('smhd', zeros(8)),
        entry: audioEntry(),
        samples: packets,
        delta: audioFrame,
        sampleBytes,
        offset: mediaAt + frames * sampleBytes,
      }),
    );
  const moov = build(ftyp.length + build(0).length + 8);
  return Buffer.concat([ftyp, moov, box('mdat', media)]);
}

interface TrackShape {
  readonly id: number;
  readonly seconds: number;
  readonly volume: number;
  readonly width: number;
  readonly height: number;
  readonly timescale: number;
  readonly handler: 'vide' | 'soun';
  readonly header: Buffer;
  readonly entry: Buffer;
  readonly samples: number;
  readonly delta: number;
  readonly sampleBytes: number;
  /** Of the first sample, from the start of the file */
  readonly offset: number;
}

function track(shape: TrackShape): Buffer {
  const durationMs = Math.round(shape.seconds * 1_000);
  const table = box(
    'stbl',
    box('stsd', u32(0, 1), shape.entry),
    box('stts', u32(0, 1, shape.samples, shape.delta)),
    box('stsc', u32(0, 1, 1, shape.samples, 1)),
    box('stsz', u32(0, shape.sampleBytes, shape.samples)),
    box('stco', u32(0, 1, shape.offset)),
  );
  const dataInfo = box('dinf', box('dref', u32(0, 1), box('url ', u32(1))));
  const media = box(
    'mdia',
    box('mdhd', u32(0, 0, 0, shape.timescale, shape.samples * shape.delta), u16(0x55c4, 0)),
    box('hdlr', u32(0, 0), ascii(shape.handler), zeros(12), ascii('simulated\0')),
    box('minf', shape.header, dataInfo, table),
  );
  const size = u32(shape.width * 0x10000, shape.height * 0x10000);
  const head = box('tkhd', u32(3, 0, 0, shape.id, 0, durationMs), zeros(8), u16(0, 0, shape.volume, 0), matrix(), size);
  return box('trak', head, media);
}

function videoEntry(width: number, height: number): Buffer {
  // Baseline profile 3.1 with empty parameter sets.
  const config = box('avcC', Buffer.from([1, 0x42, 0xc0, 0x1f, 0xff, 0xe0, 0]));
  const head = [zeros(6), u16(1), zeros(16), u16(width, height), u32(0x480000, 0x480000, 0), u16(1), zeros(32)];
  return box('avc1', ...head, u16(24, 0xffff), config);
}

function audioEntry(): Buffer {
  return box('mp4a', zeros(6), u16(1), zeros(8), u16(2, 16, 0, 0), u32(audioRate * 0x10000));
}

function matrix(): Buffer {
  return u32(0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000);
}

function box(type: string, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  return Buffer.concat([u32(body.length + 8), ascii(type), body]);
}

function ascii(text: string): Buffer {
  return Buffer.from(text, 'latin1');
}

function zeros(bytes: number): Buffer {
  return Buffer.alloc(bytes);
}

function u32(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4);
  values.forEach((value, i) => bytes.writeUInt32BE(value >>> 0, i * 4));
  return bytes;
}

function u16(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 2);
  values.forEach((value, i) => bytes.writeUInt16BE(value, i * 2));
  return bytes;
}
