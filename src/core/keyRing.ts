import { Emitter } from './kernel/event.ts';
import type { Event } from './kernel/event.ts';
import type { Lifetime } from './kernel/lifetime.ts';
import type { SecretId, Secrets } from './kernel/ports.ts';

/** Which keys are set, known at once for decisions that cannot wait; the keys themselves are read where they are used. */
export class KeyRing {
  readonly #secrets: Secrets;
  readonly #has = new Map<SecretId, boolean>();
  readonly #changed: Emitter<SecretId>;

  constructor(secrets: Secrets, life: Lifetime) {
    this.#secrets = secrets;
    this.#changed = life.own(new Emitter<SecretId>());
    // A key store that is locked now says so to whoever needs the key.
    life.own(secrets.onDidChange((id) => void this.#look(id, true).catch(() => this.#changed.fire(id))));
  }

  readonly onDidChange: Event<SecretId> = (listener) => this.#changed.event(listener);

  /** Looks at every key once. Until then a key counts as set: unknown is not missing. */
  async load(): Promise<void> {
    await Promise.all([this.#look('runpodApiKey'), this.#look('geminiApiKey')]);
  }

  has(id: SecretId): boolean {
    return this.#has.get(id) ?? true;
  }

  get(id: SecretId): Promise<string | undefined> {
    return this.#secrets.get(id);
  }

  async #look(id: SecretId, isNew = false): Promise<void> {
    const value = await this.#secrets.get(id);
    const has = value !== undefined && value !== '';
    const changed = this.has(id) !== has;
    this.#has.set(id, has);
    if (changed || isNew) this.#changed.fire(id);
  }
}
