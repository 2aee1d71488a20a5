/**
 * A binary heap that keeps its array as Python's `heapq` does, because `GET /queue` shows that array as it is
 * (comfyui.md 1.4). `less` may throw; the item then stays where it was appended.
 */
export class Heap<T> {
  readonly items: T[] = [];
  readonly #less: (a: T, b: T) => boolean;

  constructor(less: (a: T, b: T) => boolean) {
    this.#less = less;
  }

  push(item: T): void {
    this.items.push(item);
    this.#siftDown(0, this.items.length - 1);
  }

  pop(): T | undefined {
    const last = this.items.pop();
    const first = this.items[0];
    if (last === undefined || first === undefined) return last;
    this.items[0] = last;
    this.#siftUp(0);
    return first;
  }

  /** Removes the first item that matches and restores the order. */
  remove(matches: (item: T) => boolean): T | undefined {
    const at = this.items.findIndex(matches);
    if (at < 0) return undefined;
    const [removed] = this.items.splice(at, 1);
    for (let i = Math.floor(this.items.length / 2) - 1; i >= 0; i--) this.#siftUp(i);
    return removed;
  }

  #siftDown(start: number, from: number): void {
    const item = this.items[from] as T;
    let at = from;
    while (at > start) {
      const parent = (at - 1) >> 1;
      const above = this.items[parent] as T;
      if (!this.#less(item, above)) break;
      this.items[at] = above;
      at = parent;
    }
    this.items[at] = item;
  }

  #siftUp(from: number): void {
    const item = this.items[from] as T;
    const end = this.items.length;
    let at = from;
    let child = 2 * at + 1;
    while (child < end) {
      const right = child + 1;
      if (right < end && !this.#less(this.items[child] as T, this.items[right] as T)) child = right;
      this.items[at] = this.items[child] as T;
      at = child;
      child = 2 * at + 1;
    }
    this.items[at] = item;
    this.#siftDown(from, at);
  }
}
