import assert from 'node:assert/strict';
import fc from 'fast-check';
import { createSseParser, longestEvent } from '../../src/core/runpod/sseParser.ts';
import type { SseEvent } from '../../src/core/runpod/sseParser.ts';

function read(text: string, cuts: readonly number[] = []): SseEvent[] {
  const bytes = new TextEncoder().encode(text);
  const parser = createSseParser();
  const edges = [...new Set([0, ...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length])].sort((a, b) => a - b);
  return edges.slice(1).flatMap((edge, index) => [...parser.feed(bytes.subarray(edges[index], edge))]);
}

const stream =
  '\uFEFFid: 7/1\r\ndata: Grüße 🎨\r\n\r\n: keep-alive\n\ndata:zwei\ndata: drei\rid: 7/2\r\rid: 8\ndata: open';

describe('server-sent events', () => {
  it('are read with any line end, comments, a byte order mark and several data lines', () => {
    assert.deepEqual(read(stream), [
      { id: '7/1', data: 'Grüße 🎨', cut: false },
      { id: '7/2', data: 'zwei\ndrei', cut: false },
    ]);
  });

  it('are the same however the bytes are cut', () => {
    const whole = read(stream);
    fc.assert(
      fc.property(fc.array(fc.nat(200), { maxLength: 40 }), (cuts) => {
        assert.deepEqual(read(stream, cuts), whole);
      }),
    );
  });

  it('keep the last id, and give out nothing without a closing blank line', () => {
    assert.deepEqual(
      read('id: 1\ndata: a\n\ndata: b\n\ndata: never').map(({ id, data }) => `${id} ${data}`),
      ['1 a', '1 b'],
    );
    assert.deepEqual(read('id: 1\n\n'), []);
  });

  it('lose the end of an event over the limit, and go on', () => {
    const [long, next] = read(`data: ${'x'.repeat(longestEvent + 5_000)}\n\ndata: y\n\n`, [1_000, 500_000]);
    assert.equal(long?.cut, true);
    assert.equal(long.data.length, longestEvent);
    assert.deepEqual(next, { id: '', data: 'y', cut: false });
  });

  it('keep no more of any line than that, whatever it is and however it comes', () => {
    const text = `: ${'c'.repeat(2 * longestEvent)}\nid: ${'i'.repeat(2 * longestEvent)}\ndata: x\n\nid: 2\ndata: y\n\n`;
    const cuts = Array.from({ length: 40 }, (_, n) => n * 100_003);
    for (const [long, next] of [read(text), read(text, cuts)]) {
      assert.ok(long !== undefined && long.id.length > 0 && long.id.length <= longestEvent + 16, `${long?.id.length}`);
      assert.deepEqual([long.data, long.cut], ['x', true]);
      assert.deepEqual(next, { id: '2', data: 'y', cut: false });
    }
  });
});
