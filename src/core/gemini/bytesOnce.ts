/** Bytes that are here already, in the shape of a stream. */
// eslint-disable-next-line @typescript-eslint/require-await -- nothing to wait for
export async function* bytesOnce(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  yield bytes;
}
